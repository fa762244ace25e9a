import { setTimeout as sleep } from 'node:timers/promises';
import { objectAt, textAt } from '../domain/cnpg-definition.ts';
import type { CnpgRecoveryPlan } from '../domain/cnpg-recovery-facts.ts';
import { cnpgRecoveryDigest } from '../domain/cnpg-recovery-plan.ts';
import {
  compareCnpgReached,
  lastTransactionIn,
  leftByLog,
  leftIn,
  type CnpgComparison,
  type CnpgReached,
} from '../domain/cnpg-recovery-reached.ts';
import type { RecoverCnpgSpec } from '../domain/cnpg-recovery-spec.ts';
import { recoveryStanding } from '../domain/cnpg-recovery-standing.ts';
import { HoldfastError } from '../domain/errors.ts';
import type { DrillCheckResult } from '../domain/evidence.ts';
import type { RunIdentity } from '../domain/run.ts';
import { readCluster } from '../kubernetes/cnpg/cluster.ts';
import { lookAtRecovery } from '../kubernetes/cnpg/look-at-recovery.ts';
import { createRecoveryCluster } from '../kubernetes/cnpg/recovery-cluster.ts';
import type { Kubernetes } from '../kubernetes/connection.ts';
import { serviceHost } from '../kubernetes/located.ts';
import { loginOf } from '../kubernetes/login.ts';
import { readSecret } from '../kubernetes/secrets.ts';
import { withSession, type Session } from '../postgres/connection.ts';
import { runChecks } from '../postgres/drill/checks.ts';
import type { Server } from '../postgres/server.ts';
import type { Dependencies } from './dependencies.ts';
import type { Working } from './working.ts';

export interface CnpgCopyInput {
  readonly spec: RecoverCnpgSpec;
  readonly plan: CnpgRecoveryPlan;
  readonly run: RunIdentity;
}

/** Creates the Cluster of the plan. Done again it finds the one that it has made. */
export async function createCnpgCopy(
  deps: Dependencies,
  { plan, run }: CnpgCopyInput,
): Promise<{ readonly uid: string }> {
  await deps.failpoint('recover-cnpg:create');
  // Never broken off: a run that is cancelled looks for the Cluster, and would find none that is only about to come.
  const { uid } = await createRecoveryCluster(await deps.kubernetes(), plan.facts.makes.object, {
    run,
    plan: cnpgRecoveryDigest(plan),
  });
  await deps.failpoint('recover-cnpg:created');
  return { uid };
}

export interface WatchCnpgCopyInput extends CnpgCopyInput {
  /** ISO; the deadline counts from then. */
  readonly startedAt: string;
}

/** What the log of the recovery said; it goes away with its pod, soon after the end. */
export interface CnpgRecoveryLog {
  readonly lastTransactionTime: string | null;
  /** Where it stopped, on the timeline of the base backup; null: the log wasn't seen in time, or may not be read. */
  readonly left: CnpgReached['left'];
}

const pollMs = 1_500;
/** An API server may be restarted in between; one that stays away for so long is worth a failure. */
const patienceMs = 10 * 60_000;

/**
 * Watches the new Cluster until it is healthy. Fails with the cause where its Job's log names one, with the end of that
 * log otherwise, with what it waits for where that doesn't come about, and once the deadline has passed.
 */
export async function watchCnpgCopy(
  deps: Dependencies,
  input: WatchCnpgCopyInput,
  work: Working,
): Promise<CnpgRecoveryLog> {
  const ended = await watchRecovery(deps, input, work);
  if (ended instanceof HoldfastError) throw ended;
  return ended;
}

/** The same, and answers with what the recovery itself failed by; what kept it from being tried is thrown. */
export async function watchRecovery(
  deps: Dependencies,
  { spec, plan, startedAt }: WatchCnpgCopyInput,
  { signal, report }: Working,
): Promise<CnpgRecoveryLog | HoldfastError> {
  const kubernetes = await deps.kubernetes(signal);
  const { makes, base } = plan.facts;
  const deadline = Date.parse(startedAt) + spec.deadlineMs;
  let heardAt = performance.now();
  const since = { what: '', at: 0 };
  let found: CnpgRecoveryLog = { lastTransactionTime: null, left: null };
  for (;;) {
    const seen = await lookAtRecovery(kubernetes, makes).catch((error: unknown) => {
      signal.throwIfAborted();
      const passes = error instanceof HoldfastError && error.type === 'KubernetesUnavailable';
      if (!passes || performance.now() - heardAt > patienceMs) throw gone(error, makes);
      return null;
    });
    if (seen !== null) {
      heardAt = performance.now();
      const log = seen.pods.filter(({ recovers }) => recovers).at(-1)?.log ?? [];
      found = {
        lastTransactionTime: lastTransactionIn(log) ?? found.lastTransactionTime,
        left: leftByLog(log, base.timeline) ?? found.left,
      };
      const standing = recoveryStanding(seen);
      if (standing.kind === 'done') return found;
      if (standing.kind === 'failed') return new HoldfastError(standing.type, standing.what, standing.hint);
      const { stuck } = standing;
      if (since.what !== (stuck?.what ?? '')) Object.assign(since, { what: stuck?.what ?? '', at: performance.now() });
      if (stuck !== null && performance.now() - since.at > stuck.afterMs)
        throw new HoldfastError('RestoreFailed', `${seen.what} doesn't get on: ${stuck.what}`, stuck.hint);
      report({ doing: `recovery: ${standing.doing}` });
      if (Date.now() > deadline)
        throw new HoldfastError(
          'RestoreFailed',
          `${seen.what} is not healthy after its deadline; it is at: ${standing.doing}`,
          'see what its pods log; cnpg.recovery.deadline of the cluster sets the time',
        );
    }
    await sleep(pollMs, undefined, { signal });
  }
}

/** Somebody deleted it: readCluster calls that a wrong configuration. */
function gone(error: unknown, { namespace, name }: { readonly namespace: string; readonly name: string }): unknown {
  if (!(error instanceof HoldfastError) || error.type !== 'ConfigurationInvalid') return error;
  return new HoldfastError(
    'RestoreFailed',
    `Cluster ${namespace}/${name} was deleted before it was recovered`,
    'start the recovery again',
  );
}

export interface CheckCnpgCopyInput extends CnpgCopyInput {
  readonly log: CnpgRecoveryLog;
}

/** Where the new Cluster stands, next to what was asked, and how to look at it. */
export interface ReachedCluster extends CnpgComparison {
  readonly checks: readonly DrillCheckResult[];
  readonly service: string;
  /** Lines for a shell. */
  readonly psql: readonly string[];
}

/** Asks the new Cluster what it has become, as whom it lets in; changes nothing. */
export async function checkCnpgCopy(
  deps: Dependencies,
  { spec, plan, log }: CheckCnpgCopyInput,
  { signal, report }: Working,
): Promise<ReachedCluster> {
  const kubernetes = await deps.kubernetes(signal);
  const { makes, target, base, source } = plan.facts;
  const { namespace, name } = makes;
  const cluster = await readCluster(kubernetes, makes);
  const service = serviceHost(cluster.status.writeService ?? `${name}-rw`, namespace);
  const asked = await serverOfCopy(kubernetes, { spec, plan, host: service });
  const words: string[] = [];
  let reached: CnpgReached = { timeline: null, systemIdentifier: null, ...log };
  let checks: readonly DrillCheckResult[] = [];
  const where = 'server' in asked ? await whenLetIn(asked.server, log, signal) : asked;
  if ('server' in asked && !('why' in where)) {
    reached = { ...reached, ...where };
    if (spec.checks.length > 0) {
      report({ doing: 'recovery: asking the checks' });
      checks = await runChecks(asked.server, spec.checks, signal);
    }
  } else if ('why' in where)
    words.push(
      `nobody was asked: ${where.why}`,
      ...(spec.checks.length === 0 ? [] : ['so the checks of its policies were not asked']),
    );
  const compared = compareCnpgReached(
    target,
    { endLsn: base.endLsn, systemIdentifier: source.systemIdentifier },
    reached,
  );
  const pod = cluster.status.currentPrimary ?? `${name}-1`;
  return {
    ...compared,
    words: [...compared.words, ...words],
    checks,
    service,
    psql: [`kubectl -n ${namespace} exec -it ${pod} -c postgres -- psql`, `kubectl cnpg psql ${name} -n ${namespace}`],
  };
}

type Asked = { readonly server: Server } | { readonly why: string };

/** The superuser, where the Cluster lets one in; else its application's user. In words, where nobody is known. */
export async function serverOfCopy(
  kubernetes: Kubernetes,
  { spec, plan, host }: { readonly spec: RecoverCnpgSpec; readonly plan: CnpgRecoveryPlan; readonly host: string },
): Promise<Asked> {
  const { makes } = plan.facts;
  const { namespace, name, object } = makes;
  const { cnpg } = spec.source;
  const written = objectAt(object, 'spec');
  const recovery = objectAt(written, 'bootstrap', 'recovery');
  const isSuper = written['enableSuperuserAccess'] === true;
  const application = textAt(recovery, 'database');
  const secret = isSuper
    ? (textAt(written, 'superuserSecret', 'name') ?? `${name}-superuser`)
    : (textAt(recovery, 'secret', 'name') ?? (application === null ? null : `${name}-app`));
  if (secret === null) return { why: 'the Cluster lets no superuser in, and has no application of its own' };
  try {
    const login = loginOf(await readSecret(kubernetes, { namespace, name: secret }), `${namespace}/${secret}`);
    const { sslmode, sslrootcert } = cnpg;
    return {
      server: {
        host,
        port: 5432,
        user: login.user,
        password: login.password,
        database: isSuper ? cnpg.database : (application ?? cnpg.database),
        sslmode,
        ...(sslrootcert === undefined ? {} : { sslrootcert }),
      },
    };
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type === 'KubernetesUnavailable') throw error;
    return { why: error.message };
  }
}

type Where = Pick<CnpgReached, 'timeline' | 'systemIdentifier' | 'left'>;

/** So long CloudNativePG may take to set the new password of a Cluster that calls itself healthy. */
const letInMs = 60_000;

async function whenLetIn(
  server: Server,
  log: CnpgRecoveryLog,
  signal: AbortSignal,
): Promise<Where | { readonly why: string }> {
  for (const until = performance.now() + letInMs; ;) {
    try {
      return await withSession(server, { signal }, (session) => whereIs(session, log));
    } catch (error) {
      if (!(error instanceof HoldfastError) || !error.type.startsWith('Postgres')) throw error;
      if (performance.now() > until) return { why: error.message };
    }
    await sleep(pollMs, undefined, { signal });
  }
}

async function whereIs(session: Session, log: CnpgRecoveryLog): Promise<Where> {
  const [row] = await session.query<{
    readonly timeline: number;
    readonly systemIdentifier: string;
    readonly may: boolean;
  }>(
    `SELECT ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int AS timeline,
       (SELECT system_identifier::text FROM pg_control_system()) AS "systemIdentifier",
       has_function_privilege('pg_read_file(text, bigint, bigint, boolean)', 'EXECUTE') AS may`,
  );
  if (row === undefined) return { timeline: null, systemIdentifier: null, left: log.left };
  const { timeline, systemIdentifier, may } = row;
  if (!may) return { timeline, systemIdentifier, left: log.left };
  const file = `pg_wal/${timeline.toString(16).toUpperCase().padStart(8, '0')}.history`;
  const [history] = await session.query<{ readonly text: string | null }>(
    'SELECT pg_read_file($1, 0, 1000000, true) AS text',
    [file],
  );
  return { timeline, systemIdentifier, left: leftIn(history?.text ?? '') ?? log.left };
}
