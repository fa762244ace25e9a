import type { Command } from 'commander';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

interface PruneOptions {
  readonly dryRun: boolean;
  readonly wait: boolean;
}

export function addPrune(parent: Command, shell: Shell): void {
  const command = parent
    .command('prune')
    .summary('delete what a policy no longer keeps')
    .description(
      'Judges every backup of a policy, shows why each stays or goes, and deletes those that nothing keeps. Every backup run does this too. Never takes the newest good backup, the newest that holds a database whole, or one that a restore reads.',
    )
    .argument('<policy>', 'name of the policy')
    .option('--dry-run', 'show the verdicts, delete nothing', false)
    .option('--no-wait', "only start it, and print the run's name")
    .action(async (policy: string, { dryRun, wait }: PruneOptions, self: Command) => {
      const { output } = shell.call(self);
      const { checkedArgument } = await import('../checked-argument.ts');
      const { pruneArgument } = await import('../../domain/arguments.ts');
      const argument = checkedArgument(pruneArgument, { policy, dryRun }, { policy: '<policy>' });
      await withTemporal(shell.context, async (temporal) => {
        const { startAndFollow } = await import('../starting.ts');
        const { showPruned } = await import('../show-results.ts');
        const { watch, followed } = await startAndFollow(
          shell.context,
          output,
          temporal,
          { workflow: 'prune', argument },
          wait,
        );
        if (followed) showPruned(output, watch.run, await watch.outcome(), dryRun);
      });
    });
  withExamples(command, [
    ['holdfast prune jigga-daily --dry-run', 'what would stay, what would go, and why'],
    ['holdfast prune jigga-daily', 'deletes what may go'],
  ]);
}
