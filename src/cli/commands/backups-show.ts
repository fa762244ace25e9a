import type { Command } from 'commander';
import { withExamples, type Shell } from '../shell.ts';

export function addBackupsShow(parent: Command, shell: Shell): void {
  const command = parent
    .command('show')
    .summary('show one backup')
    .description(
      'Shows what a backup holds: files and their digests, databases, tables and rows, versions, and how to restore it with stock tools. Reads the repository from where the command runs.',
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
      const located = locate(await readCatalogs(config, repositoryOpener(shell.context)), id, cluster);
      const place = repositoryPlace(repositorySpec(config, located.repository));
      showBackup(output, located, shell.context.clock.now(), place);
      const { repository, backup } = located;
      output.document({
        repository,
        place,
        verification: backup.verification,
        manifestKey: backup.manifestKey,
        manifest: backup.manifest,
      });
    });
  withExamples(command, [
    ['holdfast backups show postgres-backup-20261121-020000', 'by id'],
    ['holdfast backups show latest --cluster jigga', 'the newest good one of a cluster'],
  ]);
}
