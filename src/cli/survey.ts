import type { TemporalConnection } from '../client/connect.ts';
import { isPolled } from '../client/pollers.ts';
import { archiveType, listRuns, type ListedRun } from '../client/runs.ts';
import { lookUpSchedule, type ScheduleStanding } from '../client/schedules.ts';
import { isGood } from '../domain/catalog.ts';
import type { Config } from '../domain/config.ts';
import { controlQueue, walWorkflowId } from '../domain/ids.ts';
import { readCatalogs, type Catalogs, type OpenRepository } from './catalogs.ts';
import { reported, type Reported } from './command-error.ts';
import { freshness, type Freshness } from './freshness.ts';
import type { Archiving } from './moving.ts';
import { watchRun, type Look } from './watch.ts';

/** What `holdfast status` knows: the backups of every policy, open runs, and what failed lately. */
export interface Survey {
  readonly policies: readonly PolicyState[];
  readonly unprotected: readonly string[];
  readonly unreachable: Catalogs['unreachable'];
  /** One for each cluster whose WAL is to be archived, or is. */
  readonly archives: readonly ArchiveState[];
  readonly open: readonly { readonly run: string; readonly look: Look }[];
  readonly failures: readonly { readonly run: ListedRun; readonly error: Reported }[];
  readonly workerPolls: boolean;
}

export interface PolicyState {
  readonly policy: string;
  readonly cluster: string;
  readonly newestGood: NewestGood | null;
  readonly freshness: Freshness;
  /** Of its backups, in Temporal. */
  readonly schedule: ScheduleStanding;
}

export interface ArchiveState {
  readonly cluster: string;
  /** null: the configuration wants it, and nothing runs. */
  readonly run: string | null;
  /** undefined: nothing is being done for it right now. */
  readonly archiving: Archiving | undefined;
  /** What the run says of itself, in Markdown; null: nothing, or no worker answers. */
  readonly standing: string | null;
}

export interface NewestGood {
  readonly id: string;
  readonly at: Date;
  /** `run`: the repository can't be read from here, so this is the newest backup run that Temporal remembers. */
  readonly source: 'repository' | 'run';
}

const openAtMost = 50;
const archivesAtMost = 500;
const closedLookedThrough = 500;
const failuresAtMost = 5;

export async function survey(
  config: Config,
  temporal: TemporalConnection,
  openRepository: OpenRepository,
  nowMs: number,
): Promise<Survey> {
  const { client, namespace } = temporal;
  const [catalogs, schedules, archives, open, closed, workerPolls] = await Promise.all([
    readCatalogs(config, openRepository),
    scheduleStandings(config, temporal),
    archiveStates(config, temporal),
    listRuns(client, { open: true, limit: openAtMost }),
    listRuns(client, { open: false, limit: closedLookedThrough }),
    isPolled(client, namespace, controlQueue),
  ]);
  const protectedClusters = new Set(Object.values(config.policies).map(({ cluster }) => cluster));
  return {
    policies: policyStates(config, { catalogs, schedules, closed }, nowMs),
    unprotected: Object.keys(config.clusters).filter((cluster) => !protectedClusters.has(cluster)),
    unreachable: catalogs.unreachable,
    archives,
    open: await Promise.all(
      open.map(async ({ workflowId }) => ({ run: workflowId, look: await watchRun(temporal, workflowId).look() })),
    ),
    failures: await recentFailures(temporal, closed),
    workerPolls,
  };
}

/** In the order of the configuration; archives that it doesn't want any more at the end. */
async function archiveStates(config: Config, temporal: TemporalConnection): Promise<ArchiveState[]> {
  const running = await listRuns(temporal.client, { open: true, limit: archivesAtMost, types: [archiveType] });
  const wanted = Object.entries(config.clusters).flatMap(([cluster, { wal }]) => (wal === undefined ? [] : [cluster]));
  const others = running
    .map(({ workflowId }) => workflowId.slice(workflowId.indexOf('/') + 1))
    .filter((cluster) => !wanted.includes(cluster));
  return Promise.all(
    [...wanted, ...others].map(async (cluster) => {
      const run = running.find(
        ({ workflowId }) => workflowId === walWorkflowId(cluster) || workflowId.endsWith(`/${cluster}`),
      )?.workflowId;
      if (run === undefined) return { cluster, run: null, archiving: undefined, standing: null };
      const { archiving, progress } = await watchRun(temporal, run).look();
      return { cluster, run, archiving, standing: progress?.standing ?? null };
    }),
  );
}

async function scheduleStandings(config: Config, { client }: TemporalConnection): Promise<Schedules> {
  const standings = Object.keys(config.policies).map(
    async (policy) => [policy, await lookUpSchedule(client, config, policy)] as const,
  );
  return new Map(await Promise.all(standings));
}

/** By the policy's name. */
type Schedules = ReadonlyMap<string, ScheduleStanding>;

const unwanted: ScheduleStanding = { state: 'unwanted' };

export interface PolicyFacts {
  readonly catalogs: Pick<Catalogs, 'backups' | 'bases' | 'unreachable'>;
  readonly schedules: Schedules;
  readonly closed: readonly ListedRun[];
}

export function policyStates(
  config: Config,
  { catalogs, schedules, closed }: PolicyFacts,
  nowMs: number,
): PolicyState[] {
  const unreachable = new Set(catalogs.unreachable.map(({ repository }) => repository));
  return Object.entries(config.policies).map(([name, policy]) => {
    // What CloudNativePG has taken lies in no repository.
    const elsewhere = policy.repository === undefined || unreachable.has(policy.repository);
    const newestGood = elsewhere ? newestRun(closed, name) : newestBackup(catalogs, name, policy.cluster);
    const schedule = schedules.get(name) ?? unwanted;
    return {
      policy: name,
      cluster: policy.cluster,
      newestGood: newestGood ?? null,
      freshness: freshness(newestGood?.at, policy, nowMs, schedule.state === 'runs' ? schedule.since : undefined),
      schedule,
    };
  });
}

function newestBackup(
  { backups, bases }: Pick<Catalogs, 'backups' | 'bases'>,
  policy: string,
  cluster: string,
): NewestGood | undefined {
  const good = [
    ...backups.flatMap(({ backup }) => (isGood(backup) ? [backup.manifest] : [])),
    ...bases.flatMap(({ base }) => (base.verification === 'failed' ? [] : [base.manifest])),
  ].filter((manifest) => manifest.policy === policy && manifest.cluster === cluster);
  const newest = good.reduce<(typeof good)[number] | undefined>(
    (best, one) => (best === undefined || one.startedAt > best.startedAt ? one : best),
    undefined,
  );
  return newest && { id: newest.id, at: new Date(newest.startedAt), source: 'repository' };
}

function newestRun(closed: readonly ListedRun[], policy: string): NewestGood | undefined {
  const run = closed.find(
    ({ type, status, workflowId }) => type === 'backup' && status === 'COMPLETED' && policyOfRun(workflowId) === policy,
  );
  return run && { id: run.workflowId, at: run.startedAt, source: 'run' };
}

/** `backup/jigga-daily-2026-11-21T02:00:00Z` was started by its schedule, `backup/jigga-daily/1a2b3c4d` by hand. */
export function policyOfRun(workflowId: string): string | undefined {
  return /^backup\/([a-z0-9-]+?)(?:-\d{4}-\d\d-\d\dT[0-9:.]+Z|\/[^/]+)$/.exec(workflowId)?.[1];
}

/** The newest that a person should know of. What a person ended on purpose is no failure. */
async function recentFailures(temporal: TemporalConnection, closed: readonly ListedRun[]): Promise<Survey['failures']> {
  const ended = closed.filter(({ status }) => ['FAILED', 'TIMED_OUT', 'TERMINATED'].includes(status));
  const failures = await Promise.all(
    ended.slice(0, 2 * failuresAtMost).map(async (run) => {
      try {
        await watchRun(temporal, run.workflowId).outcome();
        return []; // started again under the same id since, and well
      } catch (error) {
        const found = reported(error);
        return found.type === 'Rejected' ? [] : [{ run, error: found }];
      }
    }),
  );
  return failures.flat().slice(0, failuresAtMost);
}
