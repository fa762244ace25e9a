import type { Command } from 'commander';
import { withExamples, type Shell } from '../shell.ts';

export function addBackupsShow(parent: Command, shell: Shell): void {
  const command = parent
    .command('show')
    .summary('show one backup')
    .description(
      'Shows what a backup holds: files and their digests, databases, tables and rows, versions, and how to restore it with stock tools; of a base backup where it begins and ends in the WAL, its tablespaces, the backups that it builds on and the settings that a recovery needs. Reads the repository from where the command runs.',
    )
    .argument('<id>', "id of the backup, the name of its file, or 'latest' with --cluster")
    .option('--cluster <name>', 'the cluster it is of')
    .action(async (id: string, { cluster }: { readonly cluster?: string }, self: Command) => {
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { locate, readCatalogs, repositoryOpener } = await import('../catalogs.ts');
      const { repositoryPlace, repositorySpec } = await import('../../domain/specs.ts');
      const { showBackup } = await import('../show-backups.ts');
      const { config } = await loadConfiguration(shell.context, configFile);
      const catalogs = await readCatalogs(config, repositoryOpener(shell.context));
      const found = locate(catalogs, id, cluster);
      const nowMs = shell.context.clock.now();
      const { repository } = found.located;
      const place = repositoryPlace(repositorySpec(config, repository));
      if (found.kind === 'base') {
        const { showBase } = await import('../show-base.ts');
        const own = catalogs.bases.filter((one) => one.repository === repository).map(({ base }) => base);
        showBase(output, found.located, own, nowMs, place);
      } else showBackup(output, found.located, nowMs, place);
      const { manifest, manifestKey, verification, drill } =
        found.kind === 'base' ? found.located.base : found.located.backup;
      output.document({ repository, place, verification, drill, manifestKey, manifest });
    });
  withExamples(command, [
    ['holdfast backups show postgres-backup-20261121-020000', 'by id'],
    ['holdfast backups show latest --cluster jigga', 'the newest good one of a cluster, of whichever kind'],
  ]);
}
