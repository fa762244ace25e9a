import type { Command } from 'commander';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addApply(parent: Command, shell: Shell): void {
  const command = parent
    .command('apply')
    .summary("make Temporal's schedules equal to the configuration")
    .description(
      "Creates and updates a Temporal schedule for every policy that has one, and shows the next three runs of each. Touches only schedules of this installation, and keeps a pause that somebody made. Says which schedules no policy wants any more, and whether workers are there to do the work. Doesn't touch PostgreSQL or a repository.",
    )
    .option('--prune', 'delete the schedules of this installation that no policy wants any more', false)
    .action(async ({ prune }: { readonly prune: boolean }, self: Command) => {
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { config } = await loadConfiguration(shell.context, configFile);
      await withTemporal(shell.context, async ({ client, namespace }) => {
        const { applySchedules } = await import('../../client/schedules.ts');
        const { pollingOf } = await import('../polling.ts');
        const { appliedDocument, showApplied } = await import('../show-applied.ts');
        const changes = await applySchedules(client, config, { prune });
        const polling = await pollingOf(client, namespace, config);
        showApplied(output, config, changes, polling);
        output.document(appliedDocument(changes, polling));
      });
    });
  withExamples(command, [
    ['holdfast apply', 'after every change of schedules; safe to repeat'],
    ['holdfast apply --prune', 'also deletes the schedules of policies that are gone'],
  ]);
}
