import type { Command } from 'commander';
import { interruptible } from '../context.ts';
import { exitCodes } from '../exit-codes.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addWindow(parent: Command, shell: Shell): void {
  const command = parent
    .command('window')
    .summary('from when to when a cluster can be recovered')
    .description(
      "Reads a cluster's base backups and WAL archive and shows the windows within which it can be recovered to a point in time, the gaps between them, and what to do where there is no window or one is broken. Goes by the names and the ends of what lies there, and doesn't read its bytes: 'holdfast drill' proves that it works. Reads the repository from where the command runs. Of clusters of CloudNativePG it shows what CloudNativePG says of itself, asked of the Kubernetes of KUBECONFIG. A broken or empty window doesn't change the exit code.",
    )
    .argument(
      '[cluster]',
      'the cluster (default: every one that has a WAL archive or a policy with method base or cnpg)',
    )
    .action(async (cluster: string | undefined, _options: unknown, self: Command) => {
      const { context } = shell;
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { repositoryOpener } = await import('../catalogs.ts');
      const { readWindows } = await import('../windows.ts');
      const { showWindows, windowsDocument } = await import('../show-window.ts');
      const { config } = await loadConfiguration(context, configFile);
      const nowMs = context.clock.now();
      const open = repositoryOpener(context);
      const { readCnpgWindows } = await import('../cnpg-windows.ts');
      const byCnpg = await readCnpgWindows(context.environment, config, cluster);
      const found = await interruptible(context, async (signal) => {
        try {
          return cluster !== undefined && byCnpg.length > 0
            ? { clusters: [], unreachable: [] }
            : await readWindows(config, open, cluster, nowMs, signal);
        } catch (error) {
          if (!signal.aborted) throw error;
          const { CommandError } = await import('../command-error.ts');
          throw new CommandError('Interrupted', 'the WAL archive was not read to its end', 'ask again when you like');
        }
      });
      const [unreachable] = found.unreachable;
      if (unreachable && found.clusters.length + byCnpg.length === 0) throw unreachable.error;
      showWindows(output, found, byCnpg, new Date(nowMs));
      output.document(windowsDocument(found, byCnpg));
      if (unreachable || byCnpg.some((one) => 'error' in one)) shell.exitCode = exitCodes.unreachable;
    });
  withExamples(command, [
    ['holdfast window infra', 'the windows of one cluster, with a drawing'],
    ['holdfast window --json', 'of all of them, for a program'],
  ]);
}
