import type { Command } from 'commander';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addApply(parent: Command, shell: Shell): void {
  const command = parent
    .command('apply')
    .summary("make Temporal's schedules, WAL archives and CloudNativePG's retention equal to the configuration")
    .description(
      "Creates and updates a Temporal schedule for the backups and for the drills of every policy that has one, and shows the next three runs of each. Starts a workflow that archives the WAL of every cluster that wants it. Touches only schedules and archives of this installation, and keeps a pause that somebody made. Says which of them the configuration doesn't want any more, and whether workers are there to do the work. Writes the window of policies of method cnpg to where CloudNativePG reads it, the retentionPolicy of the Cluster or the ObjectStore: for that it asks the Kubernetes of KUBECONFIG. Doesn't touch PostgreSQL or a repository itself.",
    )
    .option(
      '--prune',
      'delete the schedules of this installation, and stop its WAL archives, that the configuration does not want any more',
      false,
    )
    .action(async ({ prune }: { readonly prune: boolean }, self: Command) => {
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { config } = await loadConfiguration(shell.context, configFile);
      await withTemporal(shell.context, async ({ client, namespace }) => {
        const { applySchedules } = await import('../../client/schedules.ts');
        const { applyWalArchives } = await import('../../client/wal-archives.ts');
        const { applyRetention } = await import('../applying-retention.ts');
        const { pollingOf } = await import('../polling.ts');
        const { appliedDocument, showApplied } = await import('../show-applied.ts');
        const applied = {
          schedules: await applySchedules(client, config, { prune }),
          wal: await applyWalArchives(client, config, { prune }),
          retention: await applyRetention(shell.context.environment, config),
        };
        const polling = await pollingOf(client, namespace, config);
        showApplied(output, config, applied, polling);
        output.document(appliedDocument(applied, polling));
      });
    });
  withExamples(command, [
    ['holdfast apply', 'after every change of schedules or WAL archives; safe to repeat'],
    ['holdfast apply --prune', 'also deletes and stops what the configuration does not want any more'],
  ]);
}
