import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';

export interface EndingOptions {
  readonly signal: AbortSignal;
  /** Milliseconds left; asked again and again. */
  readonly left: () => number;
  /** Autovacuum gives way to a rename by itself, and only a superuser may end it. */
  readonly superuser: boolean;
  /** Process ids of clients that were ended are added here. */
  readonly ended: Set<number>;
}

interface Holder {
  readonly pid: number;
  readonly kind: string | null;
  readonly user: string | null;
  readonly application: string | null;
}

const holderQuery = (
  columns: string,
) => `SELECT pid, backend_type AS kind, usename AS user, application_name AS application${columns}
  FROM pg_stat_activity
 WHERE datid = ANY($1::oid[]) AND pid <> pg_backend_pid()`;

const notAutovacuum = `AND usesysid IS NOT NULL AND backend_type IS DISTINCT FROM 'autovacuum worker'`;

const firstPauseMs = 10;
const longestPauseMs = 200;

/**
 * Ends every session in these databases and waits until none is left. They should take no connections any more, or
 * this goes on for as long as there is time. SwapFailed with those that remain once there is none left.
 */
export async function endSessions(session: Session, oids: readonly number[], options: EndingOptions): Promise<void> {
  const which = options.superuser ? '' : notAutovacuum;
  for (let pause = firstPauseMs; ; pause = Math.min(pause * 2, longestPauseMs)) {
    options.signal.throwIfAborted();
    const holders = await session.query<Holder & { readonly told: boolean }>(
      `${holderQuery(', pg_terminate_backend(pid) AS told')} ${which}`,
      [oids],
    );
    if (holders.length === 0) return;
    for (const { pid, kind, told } of holders) {
      if (told && (kind ?? 'client backend') === 'client backend') options.ended.add(pid);
    }
    if (options.left() <= 0) throw stillThere(holders);
    await pauseFor(pause, options.signal);
  }
}

/** Rejects with the signal's own reason, unlike the timer. */
export async function pauseFor(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}

function stillThere(holders: readonly Holder[]): HoldfastError {
  return new HoldfastError(
    'SwapFailed',
    `${String(holders.length)} sessions did not end in time: ${describeHolders(holders)}`,
    'look at their wait_event in pg_stat_activity; once they are gone, start the swap again',
  );
}

const describeHolders = (holders: readonly Holder[]) =>
  holders
    .slice(0, 10)
    .map(
      ({ pid, kind, user, application }) =>
        `pid ${String(pid)} (${[kind ?? 'client backend', user, application].filter((text) => text !== null && text !== '').join(', ')})`,
    )
    .join(', ') + (holders.length > 10 ? ` and ${String(holders.length - 10)} more` : '');

/** Who is in these databases, or holds a lock on them from elsewhere, for a message; empty: nobody. */
export async function whoIsInTheWay(session: Session, oids: readonly number[]): Promise<string> {
  const inside = await session.query<Holder>(holderQuery(''), [oids]);
  const outside = await session.query<Holder>(
    `SELECT DISTINCT a.pid, a.backend_type AS kind, a.usename AS user, a.application_name AS application
       FROM pg_stat_activity a JOIN pg_locks l USING (pid)
      WHERE l.locktype = 'object' AND l.classid = 'pg_database'::regclass AND l.objid = ANY($1::oid[]) AND l.granted
        AND a.datid <> ALL($1::oid[]) AND a.pid <> pg_backend_pid()`,
    [oids],
  );
  return [
    ...(inside.length === 0 ? [] : [`connected: ${describeHolders(inside)}`]),
    ...(outside.length === 0 ? [] : [`holding a lock on it: ${describeHolders(outside)}`]),
  ].join('; ');
}
