import type { Command } from 'commander';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addDrill(parent: Command, shell: Shell): void {
  const command = parent
    .command('drill')
    .summary("prove that a policy's newest backup restores")
    .description(
      "Restores the newest backup of a policy into a scratch instance that the worker makes and removes again, runs the policy's checks on it, and writes what it found beside the backup as evidence: how long the restore took, how old the data was, which checks passed. The live server is not touched. Exit code 10: the drill failed.",
    )
    .argument('<policy>', 'name of the policy')
    .option('--no-wait', "only start it, and print the run's name")
    .action(async (policy: string, { wait }: { readonly wait: boolean }, self: Command) => {
      const { output } = shell.call(self);
      const { checkedArgument } = await import('../checked-argument.ts');
      const { drillArgument } = await import('../../domain/arguments.ts');
      const argument = checkedArgument(drillArgument, { policy }, { policy: '<policy>' });
      await withTemporal(shell.context, async (temporal) => {
        const { startAndFollow } = await import('../starting.ts');
        const { showDrilled } = await import('../show-drill.ts');
        const start = { workflow: 'drill', argument } as const;
        const { watch, followed } = await startAndFollow(shell.context, output, temporal, start, wait);
        if (followed) await showDrilled(output, watch.run, watch.outcome());
      });
    });
  withExamples(command, [
    ['holdfast drill jigga-daily', 'restores the newest backup and runs the checks'],
    ['holdfast drill jigga-daily --json', 'the same, with the result for a program'],
  ]);
}
