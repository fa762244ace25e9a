import type { Command } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { reported } from '../command-error.ts';
import { withExamples, type Shell } from '../shell.ts';

interface ListOptions {
  readonly cluster?: string;
  readonly repository?: string;
}

export function addBackupsList(parent: Command, shell: Shell): void {
  const command = parent
    .command('list')
    .summary('list the backups')
    .description(
      "Lists the backups in the repositories of the configuration, newest first: dumps, then the base backups of its clusters with the moment from which each can be recovered from, and the dumps that something else left where a policy's 'adopt' looks for them. Reads the repositories from where the command runs: where the mount or the credentials aren't here, run it in the worker's pod.",
    )
    .option('--cluster <name>', 'only backups of this cluster')
    .option('--repository <name>', 'only this repository')
    .action(async ({ cluster, repository }: ListOptions, self: Command) => {
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { readCatalogs, readForeign, repositoryOpener } = await import('../catalogs.ts');
      const { backupDocument, foreignDocument, showBackups, showForeign } = await import('../show-backups.ts');
      const { baseDocument } = await import('../show-bases.ts');
      const { config } = await loadConfiguration(shell.context, configFile);
      const open = repositoryOpener(shell.context);
      const catalogs = await readCatalogs(config, open, repository);
      const [unreachable] = catalogs.unreachable;
      if (unreachable && catalogs.backups.length + catalogs.bases.length + catalogs.unreadable.length === 0)
        throw unreachable.error;
      const backups = catalogs.backups
        .filter(({ backup }) => cluster === undefined || backup.manifest.cluster === cluster)
        .sort((a, b) => byText(a.backup.manifest.cluster, b.backup.manifest.cluster));
      const bases = catalogs.bases
        .filter(({ base }) => cluster === undefined || base.manifest.cluster === cluster)
        .sort((a, b) => byText(a.base.manifest.cluster, b.base.manifest.cluster));
      const shown = { ...catalogs, backups, bases };
      if (backups.length + bases.length === 0) {
        const known =
          cluster === undefined || Object.hasOwn(config.clusters, cluster)
            ? ''
            : ', and the configuration knows no such cluster';
        output.line(`no backups${cluster === undefined ? '' : ` of cluster ${cluster}${known}`}`);
      }
      showBackups(output, shown, shell.context.clock.now());
      const foreign = (await readForeign(config, open, catalogs)).filter(
        (one) =>
          (cluster === undefined || one.cluster === cluster) &&
          (repository === undefined || one.adopt.repository.name === repository),
      );
      showForeign(output, foreign, shell.context.clock.now());
      output.document({
        backups: [...backups.map(backupDocument), ...bases.map(baseDocument)],
        foreign: foreign.map(foreignDocument),
        unreadable: catalogs.unreadable,
        unreachable: catalogs.unreachable.map(({ repository: name, error }) => ({
          repository: name,
          type: error.type,
          message: error.message,
          hint: error.hint,
        })),
      });
      for (const { error } of catalogs.unreachable) if (!output.json) output.error(reported(error));
      if (unreachable) shell.exitCode = exitCodes.unreachable;
    });
  withExamples(command, [
    ['holdfast backups list', 'everything'],
    ['holdfast backups list --cluster jigga --json', 'one cluster, for a program'],
  ]);
}

const byText = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
