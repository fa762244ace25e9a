import type { Command } from 'commander';
import { interruptible } from '../context.ts';
import { namespaceName } from '../options.ts';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

interface ImportOptions {
  readonly namespace?: readonly string[];
  readonly suspend: boolean;
  readonly yes: boolean;
}

export function addImportScheduledBackups(parent: Command, shell: Shell): void {
  const command = parent
    .command('scheduledbackups')
    .summary("turn CloudNativePG's ScheduledBackups into policies, and suspend them")
    .description(
      "Looks for ScheduledBackups in the namespaces that the credentials may list (KUBECONFIG, else ~/.kube/config, else those of the pod) and prints policies of method cnpg that do the same, and the clusters that the configuration lacks, as YAML on stdout. Six cron fields become five, the window is what CloudNativePG keeps today. What isn't carried over is said in comments, what can't be on stderr. Changes nothing.\n\nWith --suspend it suspends those whose policy is in the configuration and whose schedule runs in Temporal, and no others: no cluster is left without a schedule. What it is about to do is shown first.",
    )
    .option('--namespace <names...>', 'look only in these', namespaceName)
    .option('--suspend', 'suspend those whose policy does the work already', false)
    .option('--yes', "with --suspend: don't ask", false)
    .action(async ({ namespace, suspend, yes }: ImportOptions, self: Command) => {
      const { context } = shell;
      const { output, configFile } = shell.call(self);
      const { findConfiguration, loadConfiguration } = await import('../configuration.ts');
      const { lookForSchedules, showImport } = await import('../importing.ts');
      const look = (loaded: Awaited<ReturnType<typeof findConfiguration>>) =>
        interruptible(context, (signal) => lookForSchedules(context, namespace, loaded, signal));
      if (!suspend) {
        const loaded = await findConfiguration(context, configFile);
        showImport(context, output, await look(loaded), loaded);
        return;
      }
      const loaded = await loadConfiguration(context, configFile);
      const found = await look(loaded);
      await withTemporal(context, async ({ client }) => {
        const { suspendShown } = await import('../suspending.ts');
        shell.exitCode = await suspendShown(context, output, client, { config: loaded.config, found, yes });
      });
    });
  withExamples(command, [
    [
      'holdfast import scheduledbackups > imported.yaml',
      'then put its parts into holdfast.yaml, and: holdfast config check',
    ],
    ['holdfast import scheduledbackups --namespace production', 'only there'],
    ['holdfast import scheduledbackups --suspend', "after 'holdfast apply': from now on Holdfast takes the backups"],
  ]);
}
