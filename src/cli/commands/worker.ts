import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { exitCodes } from '../exit-codes.ts';
import { address, duration, positiveInteger, siteName, words } from '../options.ts';
import { withExamples, type Shell } from '../shell.ts';

interface WorkerOptions {
  readonly site?: readonly string[];
  readonly on?: string;
  readonly health: string;
  readonly metrics?: string;
  readonly slots: number;
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error';
  readonly grace: number;
  readonly scratch?: string;
  readonly instances?: string;
  readonly instancesUser: string;
}

export function addWorker(parent: Command, shell: Shell): void {
  const command = parent
    .command('worker')
    .summary('do the work: run workflows and activities')
    .description(
      'Runs a worker until SIGTERM or Ctrl-C. Start one beside every site whose clusters it shall reach: it needs the PostgreSQL client tools, the repository mounted, and the same configuration. Logs are JSON lines on stderr. When asked to stop it gives running work its time, then hands it to another worker.',
    )
    .option('--site <name>', 'do the work of this site; give it again for more (default: main)', siteName)
    .option(
      '--on <host>',
      "only work on recovered copies that lie on this machine's disks, which goes by this name; when asked to stop it ends with exit code 130",
      words,
    )
    .option('--slots <number>', 'how many dumps, restores and verifications run at once', positiveInteger, 2)
    .option('--health <host:port>', 'serve /healthz, /readyz and /metrics here', address, '127.0.0.1:8080')
    .option(
      '--metrics <host:port>',
      "serve the Temporal SDK's own Prometheus metrics here (default: not served)",
      address,
    )
    .option(
      '--scratch <directory>',
      "where archives of method pg_dump may lie for a while: it needs room for the largest of them (default: 'holdfast' in the system's directory for temporary files)",
    )
    .option(
      '--instances <directory>',
      "where recovered copies and drills of base backups live: it needs room for whole clusters, and a copy stays until it is thrown away (default: 'holdfast-instances' in the system's directory for temporary files)",
    )
    .option('--instances-user <name>', 'who runs PostgreSQL there, where the worker runs as root', words, 'postgres')
    .addOption(
      new Option('--log-level <level>', 'what is logged').choices(['debug', 'info', 'warn', 'error']).default('info'),
    )
    .addOption(
      new Option('--grace <time>', 'how long running work may go on after SIGTERM')
        .argParser(duration)
        .default(30_000, '30s'),
    )
    .action(async (options: WorkerOptions, self: Command) => {
      const { context } = shell;
      const { configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { path } = await loadConfiguration(context, configFile);
      const { runWorker } = await import('../../worker/run.ts');
      await runWorker({
        readConfig: async () => (await loadConfiguration(context, path)).config,
        environment: context.environment,
        sites: options.site ?? ['main'],
        on: options.on,
        slots: options.slots,
        scratch: resolve(context.directory, options.scratch ?? join(tmpdir(), 'holdfast')),
        instances: {
          directory: resolve(context.directory, options.instances ?? join(tmpdir(), 'holdfast-instances')),
          user: options.instancesUser,
        },
        healthAddress: options.health,
        temporalMetricsAddress: options.metrics,
        logLevel: options.logLevel,
        graceMs: options.grace,
      });
      // A Job takes 0 for the end of the work, and makes no other pod.
      if (options.on !== undefined) shell.exitCode = exitCodes.interrupted;
    });
  withExamples(command, [
    ['holdfast worker', 'the work of site main'],
    ['holdfast worker --site tokyo --site osaka --slots 4', 'the work of two sites, four dumps at once'],
    [
      'holdfast worker --health 0.0.0.0:8080 --metrics 0.0.0.0:9464',
      'in a pod, where the kubelet and Prometheus come from outside',
    ],
  ]);
}
