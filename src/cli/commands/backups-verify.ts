import type { Command } from 'commander';
import { interruptible } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addBackupsVerify(parent: Command, shell: Shell): void {
  const command = parent
    .command('verify')
    .summary('read a backup back and check every byte')
    .description(
      'Reads a whole backup back: digests, sizes, that every part unpacks and ends as a whole dump does; of a base backup the digests and sizes of its files, and that its archives unpack (lz4: digests only), not the backups that it builds on, nor its WAL. Reads the repository from where the command runs, and writes nothing: what a backup run verified is on record beside the backup, what this command finds is not. Exit code 8: damaged.',
    )
    .argument('<id>', "id of the backup, the name of its file, or 'latest' with --cluster")
    .option('--cluster <name>', 'the cluster it is of')
    .action(async (id: string, { cluster }: { readonly cluster?: string }, self: Command) => {
      const { context } = shell;
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { verifyBackup } = await import('../verifying.ts');
      const { config } = await loadConfiguration(context, configFile);
      const outcome = await interruptible(context, (signal) =>
        verifyBackup(context, output, config, { id, cluster }, signal),
      );
      if (outcome === 'failed') shell.exitCode = exitCodes.damaged;
    });
  withExamples(command, [
    ['holdfast backups verify postgres-backup-20261121-020000', 'reads it back and says what is damaged'],
    ['holdfast backups verify latest --cluster jigga', 'the newest good one of a cluster'],
  ]);
}
