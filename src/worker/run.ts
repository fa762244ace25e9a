import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { Client } from '@temporalio/client';
import { NativeConnection, Runtime, Worker, type WorkerOptions } from '@temporalio/worker';
import {
  bytesActivities,
  controlActivities,
  hostActivities,
  siteActivities,
  walActivities,
} from '../activities/index.ts';
import { temporalSettings } from '../client/connect.ts';
import { temporalLeases } from '../client/leases.ts';
import { isPolled } from '../client/pollers.ts';
import { digestOf, type Json } from '../domain/canonical.ts';
import type { Config } from '../domain/config.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { bytesQueue, controlQueue, hostQueue, siteQueue, walQueue } from '../domain/ids.ts';
import type { RepositorySpec } from '../domain/specs.ts';
import type { Dependencies } from '../activities/index.ts';
import { openKubernetes } from '../kubernetes/connection.ts';
import { sweepPlaces } from '../postgres/drill/place.ts';
import type { RunAs } from '../postgres/instance/run-as.ts';
import { openRepository, type ReadSecret } from '../storage/open.ts';
import type { Repository } from '../storage/repository.ts';
import { findCompressors } from '../streams/compress.ts';
import { findTool } from '../process/environment.ts';
import { failpoints } from './failpoints.ts';
import { serveHealth, splitAddress, type HealthServer } from './health.ts';
import { createLog, temporalLogger, type LogLevel } from './logs.ts';
import { createMetrics } from './metrics.ts';
import { secretReader } from './secrets.ts';
import { version } from './version.ts';
import { workflowSource } from './workflow-source.ts';

export interface RunWorkerOptions {
  /** Reads the configuration file as it is now. Called again by every run that is resolved. */
  readonly readConfig: () => Promise<Config>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly sites: readonly string[];
  /** Only the work on what lies on this machine's disks, which goes by this name; default: all work of the sites. */
  readonly on?: string | undefined;
  /** How many dumps, restores and verifications run at once. */
  readonly slots: number;
  /** Where archives may lie for a while that pg_restore has to seek in. */
  readonly scratch: string;
  /** Where recovered copies and drills live, and which user runs PostgreSQL there where the worker is root. */
  readonly instances: { readonly directory: string; readonly user: string };
  /** host:port for /healthz, /readyz and /metrics. */
  readonly healthAddress: string | undefined;
  /** host:port for the Temporal SDK's own Prometheus metrics. */
  readonly temporalMetricsAddress: string | undefined;
  readonly logLevel: LogLevel;
  /** How long running work may go on after SIGTERM before it is cancelled and handed to another worker. */
  readonly graceMs: number;
  /** Stops the worker, as SIGTERM does. */
  readonly signal?: AbortSignal;
  readonly onReady?: (healthUrl: string | undefined) => void;
}

type Queue = Pick<WorkerOptions, 'taskQueue' | 'activities' | 'maxConcurrentActivityTaskExecutions'>;

/** Logs that one worker streams at once: they mostly wait. */
const walSlots = 50;
/** Recovered copies that one worker fetches and replays at once. */
const hostSlots = 4;

/** After the grace: time for cancelled work to end its processes and remove what it had begun. */
const cleanUpMs = 20_000;

/**
 * Runs until SIGTERM, SIGINT or the signal. Polls `holdfast` for workflows and light work, and for each site one queue
 * for quick work, one with few slots for what moves bytes, one for logs, and one for what lies on this machine; with `on`
 * that one only.
 */
export async function runWorker(options: RunWorkerOptions): Promise<void> {
  const startedAt = new Date();
  const log = createLog(options.logLevel);
  const { temporalMetricsAddress, environment } = options;
  Runtime.install({
    logger: temporalLogger(log),
    shutdownSignals: [],
    ...(temporalMetricsAddress === undefined
      ? {}
      : { telemetryOptions: { metrics: { prometheus: { bindAddress: temporalMetricsAddress } } } }),
  });
  let lastGood = await options.readConfig();
  const config = async () => {
    try {
      lastGood = await options.readConfig();
    } catch (error) {
      log.error({ error: messageOf(error) }, 'the configuration file is not usable: going on with what it said before');
    }
    return lastGood;
  };
  const find = (name: string) => findTool(name, environment['PATH']);
  const compressors = await findCompressors(find, new AbortController().signal);
  for (const sentence of compressors.slower) log.warn(sentence);

  const { connectionOptions, address, namespace } = temporalSettings(environment);
  const connection = await NativeConnection.connect(connectionOptions).catch((error: unknown) => {
    throw new HoldfastError(
      'TemporalUnavailable',
      `no Temporal server answers at ${address}: ${messageOf(error)}`,
      "start one ('temporal server start-dev'), or name yours in TEMPORAL_ADDRESS or temporal.toml",
      { cause: error },
    );
  });
  const metrics = createMetrics(version);
  const client = new Client({ connection, namespace });
  const readSecret = secretReader(environment);
  const deps = {
    version,
    config,
    leases: temporalLeases(client),
    // The queue of quick work: one that moves bytes isn't asked for more while its slots are taken.
    isServed: (site: string) => isPolled(client, namespace, siteQueue(site)),
    openRepository: rememberedRepositories(readSecret),
    compressors,
    scratch: options.scratch,
    instances: { directory: options.instances.directory, runAs: runAsUser(options.instances.user) },
    host: options.on ?? hostname(),
    self: { temporal: { address, namespace }, pod: ownPod(environment), startedAt },
    toolPlaces: ({ tools }: Config) => ({ configured: tools.postgres, path: environment['PATH'] ?? '' }),
    secret: readSecret,
    kubernetes: (signal?: AbortSignal) => openKubernetes(environment, signal),
    walReport: metrics.wal,
    failpoint: failpoints(environment['HOLDFAST_FAILPOINTS']),
  };
  const common = {
    connection,
    namespace,
    shutdownGraceTime: options.graceMs,
    shutdownForceTime: options.graceMs + cleanUpMs,
    maxHeartbeatThrottleInterval: '3s',
    interceptors: {
      activity: [
        ({ info }: { info: { activityType: string } }) => ({ inbound: metrics.interceptor(info.activityType) }),
      ],
    },
  } satisfies Partial<WorkerOptions>;
  const onHost = (site: string): Queue => ({
    taskQueue: hostQueue(site, deps.host),
    activities: hostActivities(deps),
    maxConcurrentActivityTaskExecutions: hostSlots,
  });
  const ofSite = (site: string): Queue[] => [
    { taskQueue: siteQueue(site), activities: siteActivities(deps), maxConcurrentActivityTaskExecutions: 20 },
    {
      taskQueue: bytesQueue(site),
      activities: bytesActivities(deps),
      maxConcurrentActivityTaskExecutions: options.slots,
    },
    onHost(site),
    { taskQueue: walQueue(site), activities: walActivities(deps), maxConcurrentActivityTaskExecutions: walSlots },
  ];
  const isForAll = options.on === undefined;
  const queues = options.sites.flatMap((site) => (isForAll ? ofSite(site) : [onHost(site)]));
  // What drills of a worker that died have left here: an instance may still run.
  await sweepPlaces(options.instances.directory, { host: deps.host }, new AbortController().signal);
  const workers: Worker[] = [];
  const isRunning = (queue: string) =>
    workers.some((worker) => worker.options.taskQueue === queue && worker.getState() === 'RUNNING');
  const notReady = () =>
    [...(isForAll ? [controlQueue] : []), ...queues.map(({ taskQueue }) => taskQueue)].filter(
      (queue) => !isRunning(queue),
    );
  let health: HealthServer | undefined;
  try {
    // First, because an address may be taken, and a worker that was made but never ran keeps the process alive.
    if (options.healthAddress !== undefined) health = await listen(options.healthAddress, notReady, metrics.registry);
  } catch (error) {
    await connection.close();
    throw error;
  }
  if (isForAll)
    workers.push(
      await Worker.create({
        ...common,
        ...workflowSource(),
        taskQueue: controlQueue,
        activities: controlActivities(deps),
        maxConcurrentActivityTaskExecutions: 50,
      }),
    );
  workers.push(...(await Promise.all(queues.map((queue) => Worker.create({ ...common, ...queue })))));
  const stop = (why: string) => {
    log.info({ why }, 'stopping: running work is given its time, then handed over');
    for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
  };
  const onTerm = () => {
    stop('SIGTERM');
  };
  const onInt = () => {
    stop('SIGINT');
  };
  const onAbort = () => {
    stop('asked to');
  };
  process.once('SIGTERM', onTerm);
  process.once('SIGINT', onInt);
  options.signal?.addEventListener('abort', onAbort, { once: true });
  log.info(
    {
      version,
      address,
      namespace,
      sites: options.sites,
      on: options.on,
      slots: options.slots,
      health: health?.address,
    },
    'holdfast worker started',
  );
  try {
    const running = workers.map(async (worker) => {
      try {
        await worker.run();
      } finally {
        onAbort(); // one that fails takes the others with it: half a worker is worse than none
      }
    });
    options.onReady?.(health?.address);
    const outcomes = await Promise.allSettled(running);
    const failed = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failed) throw failed.reason as Error;
    log.info('holdfast worker stopped');
  } finally {
    process.off('SIGTERM', onTerm);
    process.off('SIGINT', onInt);
    await health?.close();
    await connection.close();
  }
}

/** PostgreSQL refuses to run as root; anybody else's instances run as the worker does. */
function runAsUser(user: string): RunAs | undefined {
  if (process.geteuid?.() !== 0) return undefined;
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${user}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  return uid === undefined || gid === undefined ? undefined : { uid: Number(uid), gid: Number(gid) };
}

/** As Kubernetes tells it by its downward API, where the pod asks for that. */
function ownPod({
  POD_NAME: name = '',
  POD_NAMESPACE: namespace = '',
}: Readonly<Record<string, string | undefined>>): Dependencies['self']['pod'] {
  return name === '' || namespace === '' ? null : { namespace, name };
}

function rememberedRepositories(readSecret: ReadSecret): (spec: RepositorySpec) => Repository {
  const opened = new Map<string, Repository>();
  return (spec) => {
    // Names may change; what lies at a place doesn't.
    const place = digestOf({ ...spec, name: '' } as unknown as Json);
    const repository = opened.get(place) ?? openRepository(spec, readSecret);
    opened.set(place, repository);
    return repository;
  };
}

async function listen(
  address: string,
  notReady: () => readonly string[],
  registry: Parameters<typeof serveHealth>[2],
): Promise<HealthServer> {
  try {
    return await serveHealth(address, notReady, registry);
  } catch (error) {
    throw new HoldfastError(
      'ConfigurationInvalid',
      `health can't be served at ${address}: ${messageOf(error)}`,
      `give another host:port; ${String(splitAddress(address).port)} may be taken`,
      { cause: error },
    );
  }
}
