import type { Command } from 'commander';
import { interruptible } from '../context.ts';
import { namespaceName } from '../options.ts';
import { withExamples, type Shell } from '../shell.ts';

interface DiscoverOptions {
  readonly namespace?: readonly string[];
}

export function addDiscover(parent: Command, shell: Shell): void {
  const command = parent
    .command('discover')
    .summary('find every PostgreSQL in Kubernetes, and print a configuration for it')
    .description(
      'Looks through the namespaces that the credentials may list (KUBECONFIG, else ~/.kube/config, else those of the pod) and prints a holdfast.yaml on stdout: CloudNativePG clusters and StatefulSets with PostgreSQL, whatever made them, with comments that say what was seen. Reads StatefulSets, Deployments, pods, Services, PersistentVolumeClaims and the objects of CloudNativePG; never a Secret, only which one is referred to. What may not be read is said on stderr. Changes nothing.',
    )
    .option('--namespace <names...>', 'look only in these', namespaceName)
    .action(async ({ namespace }: DiscoverOptions, self: Command) => {
      const { context } = shell;
      const { output } = shell.call(self);
      const { showDiscovered, lookAround } = await import('../show-discovered.ts');
      await interruptible(context, async (signal) => {
        showDiscovered(context, output, await lookAround(context, namespace, signal));
      });
    });
  withExamples(command, [
    ['holdfast discover > holdfast.yaml', 'everything that may be seen; then read it, and: holdfast config check'],
    ['holdfast discover --namespace infra production', 'only there'],
    ['holdfast discover --json', 'the same for programs: what was found, the configuration, what could not be read'],
  ]);
}
