import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';
import { connect, type Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { describeServer, type Server } from '../server.ts';

/**
 * Where a swap is ordered from: a session in a database that isn't one of those it renames, with a lock that keeps
 * every other swap, undo and release of the same databases out.
 */
export interface Desk {
  readonly session: Session;
  /** Gives the lock back and ends the session. Never fails. */
  close(): Promise<void>;
}

/** What one desk is for. Two attempts of one operation on the same databases have the same name. */
export interface DeskOrder {
  readonly operation: 'swap' | 'undo' | 'drop';
  readonly oids: readonly number[];
  /** Names that none of the databases bears now or will bear: not to be connected to. */
  readonly names: readonly string[];
}

export const deskName = ({ operation, oids }: DeskOrder) =>
  `holdfast ${operation} ${[...oids].sort((a, b) => a - b).join('/')}`;

/** The configured maintenance database, then those that initdb makes. */
export function maintenanceCandidates(configured: string, avoid: readonly string[]): string[] {
  return [...new Set([configured, 'postgres', 'template1'])].filter((name) => !avoid.includes(name));
}

/** No such database; it takes no connections; we may not connect; pg_hba.conf has no line for it. */
const triesNext: readonly string[] = ['3D000', '55000', '42501', '28000'];

/** PostgresRefused where no database is left to connect to. */
export async function connectForMaintenance(
  server: Server,
  avoid: readonly string[],
  applicationName: string,
  signal?: AbortSignal,
): Promise<Session> {
  let refused: unknown;
  const candidates = maintenanceCandidates(server.database, avoid);
  for (const database of candidates) {
    try {
      return await connect(server, { database, applicationName, ...(signal === undefined ? {} : { signal }) });
    } catch (error) {
      if (!triesNext.includes(sqlState(error) ?? '')) throw error;
      refused ??= error;
    }
  }
  const shown = (names: readonly string[]) => names.map((name) => `'${name}'`).join(', ');
  throw new HoldfastError(
    'PostgresRefused',
    `no database of ${describeServer(server)} is left to order the swap from: ` +
      `it can't be one of ${shown(avoid)}${candidates.length === 0 ? '' : `, and ${shown(candidates)} can't be connected to`}`,
    'give the cluster a database of its own to connect to, such as an empty one named holdfast (member database of the server)',
    { cause: refused },
  );
}

/** 'hold' in ASCII: the first half of our advisory locks, the second is a database's OID. */
const lockClass = 0x686f6c64;
const lockTries = 40;
const lockPauseMs = 50;
/** How long a server that may be gone is told that we go. */
const partingMs = 5_000;

export interface DeskOptions {
  /** An earlier attempt of the same order that holds the lock is ended. */
  readonly takeOver: boolean;
  /** The process id of a session of our own that broke, which is ended first. */
  readonly ended?: number;
  /** No query of the session takes longer; default: as long as it likes. */
  readonly answerWithinMs?: number | null;
}

/**
 * A cut network gives no sign for many minutes, and a database that is closed waits: a query that isn't answered in
 * time ends the session instead. PostgresUnavailable then.
 */
function impatient(session: Session, cut: AbortController, answerWithinMs: number): Session {
  const late = new HoldfastError(
    'PostgresUnavailable',
    `the server has not answered within ${String(answerWithinMs)} ms`,
    'check the network between worker and server',
  );
  return {
    ...session,
    async query<Row>(sql: string, values?: readonly unknown[]): Promise<readonly Row[]> {
      const timer = setTimeout(() => {
        cut.abort(late);
      }, answerWithinMs);
      try {
        return await session.query<Row>(sql, values);
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/**
 * Opens a desk. An earlier attempt of the same order that still holds the lock, because its worker hangs or its
 * connection was cut without notice, is ended: whatever it does after that fails. Busy where somebody else holds it.
 */
export async function openDesk(
  server: Server,
  order: DeskOrder,
  { takeOver, ended, answerWithinMs = null }: DeskOptions,
): Promise<Desk> {
  const applicationName = deskName(order);
  const cut = new AbortController();
  const plain = await connectForMaintenance(server, order.names, applicationName, cut.signal);
  const session = answerWithinMs === null ? plain : impatient(plain, cut, answerWithinMs);
  try {
    if (ended !== undefined) await endHolder(session, applicationName, ended);
    await takeLocks(session, order, takeOver);
  } catch (error) {
    await session.close();
    throw error;
  }
  const close = async () => {
    const timer = setTimeout(() => {
      cut.abort();
    }, partingMs);
    // The next step may begin before the server has noticed that this session is gone.
    await session.query('SELECT pg_advisory_unlock_all()').catch(() => undefined);
    clearTimeout(timer);
    await session.close();
  };
  return { session, close };
}

/** The signed half that the lock functions take for an OID. */
const lockKey = (oid: number) => oid | 0;

interface Holder {
  readonly pid: number;
  readonly application_name: string | null;
}

async function takeLocks(session: Session, order: DeskOrder, takeOver: boolean): Promise<void> {
  const oids = [...new Set(order.oids)].sort((a, b) => a - b);
  for (let attempt = 1; ; attempt += 1) {
    const [row] = await session.query<{ readonly taken: boolean }>(
      `SELECT ${oids.map((_, index) => `pg_try_advisory_lock($1, $${String(index + 2)})`).join(' AND ')} AS taken`,
      [lockClass, ...oids.map(lockKey)],
    );
    if (row?.taken === true) return;
    // All or none: two that each hold one would wait for each other.
    await session.query('SELECT pg_advisory_unlock_all()');
    const holders = await lockHolders(session, oids);
    if (takeOver) {
      for (const { pid, application_name } of holders) {
        if (application_name === deskName(order)) await endHolder(session, deskName(order), pid);
      }
    }
    if (attempt >= lockTries) throw busy(order, holders);
    await sleep(lockPauseMs);
  }
}

const lockHolders = (session: Session, oids: readonly number[]) =>
  session.query<Holder>(
    `SELECT DISTINCT l.pid, a.application_name FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
      WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 AND l.pid <> pg_backend_pid()
        AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND l.classid = $1::oid AND l.objid = ANY($2::oid[])`,
    [lockClass, oids],
  );

async function endHolder(session: Session, applicationName: string, pid: number): Promise<void> {
  await session.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND application_name = $2',
    [pid, applicationName],
  );
}

function busy({ operation }: DeskOrder, holders: readonly Holder[]): HoldfastError {
  const names = holders
    .map(({ pid, application_name }) => `'${application_name ?? 'unknown'}' (pid ${String(pid)})`)
    .join(', ');
  return new HoldfastError(
    'Busy',
    `can't ${operation}: another session is renaming or dropping one of these databases${names === '' ? '' : `: ${names}`}`,
    'wait until it has finished; if it hangs, end it with pg_terminate_backend',
  );
}
