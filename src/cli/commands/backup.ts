import type { Command } from 'commander';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addBackup(parent: Command, shell: Shell): void {
  const command = parent
    .command('backup')
    .summary('take a backup now')
    .description(
      'Starts a backup by a policy and follows it. Ctrl-C leaves it running. A database that can not be dumped makes the backup partial: it is kept, and the exit code is 8.',
    )
    .argument('<policy>', 'name of the policy')
    .option('--no-wait', "only start it, and print the run's name")
    .action(async (policy: string, { wait }: { readonly wait: boolean }, self: Command) => {
      const { output } = shell.call(self);
      const { checkedArgument } = await import('../checked-argument.ts');
      const { backupArgument } = await import('../../domain/arguments.ts');
      const argument = checkedArgument(backupArgument, { policy }, { policy: '<policy>' });
      await withTemporal(shell.context, async (temporal) => {
        const { runSeconds, startAndFollow } = await import('../starting.ts');
        const { showTaken } = await import('../show-results.ts');
        const { watch, followed } = await startAndFollow(
          shell.context,
          output,
          temporal,
          { workflow: 'backup', argument },
          wait,
        );
        if (!followed) return;
        showTaken(output, watch.run, await watch.outcome(), runSeconds(followed.look));
      });
    });
  withExamples(command, [
    ['holdfast backup jigga-daily', 'takes a backup and shows its progress'],
    ['holdfast backup jigga-daily --no-wait --json', 'starts it and prints {"run": …}'],
  ]);
}
