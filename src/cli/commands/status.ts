import type { Command } from 'commander';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addStatus(parent: Command, shell: Shell): void {
  const command = parent
    .command('status')
    .summary('what is protected, what runs, what waits for you')
    .description(
      "Shows for every policy the newest good backup and whether its schedule is kept, how far the archive of each cluster's WAL is behind its server, the open runs with step and bytes, what waits for a person with the commands to type, and what failed lately. With a run: its steps, plan, decisions and messages that were not taken.\n\nExit code 9: a plan waits for a decision. What waits for release or undo, or at the target of a recovery, doesn't change the exit code.",
    )
    .argument('[run]', 'a run, by its workflow id')
    .option('--follow', 'go on showing the run until it ends; Ctrl-C leaves it running', false)
    .action(async (run: string | undefined, { follow }: { readonly follow: boolean }, self: Command) => {
      const { context } = shell;
      const { output, configFile } = shell.call(self);
      const { followStatus, runStatus, statusOfAll } = await import('../status.ts');
      if (run === undefined) {
        const { loadConfiguration } = await import('../configuration.ts');
        const { config } = await loadConfiguration(context, configFile);
        shell.exitCode = await withTemporal(context, (temporal) =>
          statusOfAll(context, output, config, temporal, context.clock.now()),
        );
        return;
      }
      shell.exitCode = await withTemporal(context, (temporal) =>
        follow ? followStatus(context, output, temporal, run) : runStatus(output, temporal, run),
      );
    });
  withExamples(command, [
    ['holdfast status', 'everything at a glance'],
    ['holdfast status restore/jigga/1a2b3c4d', 'one run, with its plan'],
    ['holdfast status backup/jigga-daily/1a2b3c4d --follow', 'goes on showing its progress'],
  ]);
}
