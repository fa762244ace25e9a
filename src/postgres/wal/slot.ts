import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { parseLsn, type Lsn } from '../../domain/wal.ts';
import { withSession, type Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { describeServer, type Server } from '../server.ts';

export type WalStatus = 'reserved' | 'extended' | 'unreserved' | 'lost';

export interface Slot {
  readonly kind: 'physical' | 'logical';
  /** The walsender that uses it. */
  readonly activePid: number | null;
  /** From here on the server keeps its log; null: nothing is kept yet, or any more. */
  readonly restartLsn: Lsn | null;
  readonly walStatus: WalStatus | null;
  /** How much may still be written before the slot is invalidated; null: without a limit, or invalidated already. */
  readonly safeWalBytes: number | null;
}

interface SlotRow {
  readonly slot_type: 'physical' | 'logical';
  readonly active_pid: number | null;
  readonly restart_lsn: string | null;
  readonly wal_status: WalStatus | null;
  readonly safe_wal_size: string | null;
}

export const slotColumns = 'slot_type, active_pid, restart_lsn::text, wal_status, safe_wal_size::text';

export function slotOf(row: SlotRow): Slot {
  return {
    kind: row.slot_type,
    activePid: row.active_pid,
    restartLsn: row.restart_lsn === null ? null : parseLsn(row.restart_lsn),
    walStatus: row.wal_status,
    safeWalBytes: row.safe_wal_size === null ? null : Number(row.safe_wal_size),
  };
}

/** undefined where there is none of that name. */
export async function readSlot(session: Session, name: string): Promise<Slot | undefined> {
  const [row] = await session.query<SlotRow>(
    `SELECT ${slotColumns} FROM pg_catalog.pg_replication_slots WHERE slot_name = $1`,
    [name],
  );
  return row === undefined ? undefined : slotOf(row);
}

/**
 * A slot that keeps the log for us. Made where it is missing; one that was invalidated is dropped and made anew. Busy,
 * with its pid, while a walsender uses it; PostgresRefused where it is a logical one, or the server takes no more.
 */
export async function ensureSlot(
  session: Session,
  name: string,
  server: Server,
): Promise<{ readonly restartLsn: Lsn; readonly was: 'there' | 'missing' | 'lost' }> {
  const found = await readSlot(session, name);
  if (found?.kind === 'logical')
    throw new HoldfastError(
      'PostgresRefused',
      `replication slot '${name}' of ${describeServer(server)} is a logical one`,
      'somebody else has it: drop or rename it, or give the installation another name',
    );
  if (typeof found?.activePid === 'number') throw slotBusy(name, server, found.activePid);
  if (found !== undefined && found.walStatus !== 'lost' && found.restartLsn !== null)
    return { restartLsn: found.restartLsn, was: 'there' };
  if (found !== undefined) await dropSlot(session, name, server);
  return { restartLsn: await createSlot(session, name, server), was: found === undefined ? 'missing' : 'lost' };
}

async function createSlot(session: Session, name: string, server: Server): Promise<Lsn> {
  try {
    await session.query('SELECT pg_catalog.pg_create_physical_replication_slot($1, true)', [name]);
  } catch (error) {
    // Somebody else was faster: it is looked at below.
    if (sqlState(error) !== '42710') throw slotRefused(error, name, server);
  }
  const made = await readSlot(session, name);
  if (typeof made?.activePid === 'number') throw slotBusy(name, server, made.activePid);
  const restartLsn = made?.restartLsn ?? null;
  if (restartLsn === null)
    throw new HoldfastError(
      'PostgresUnavailable',
      `replication slot '${name}' of ${describeServer(server)} was made and keeps nothing`,
      'see that nobody else drops or makes slots of this name; the next attempt looks again',
    );
  return restartLsn;
}

export async function dropSlot(session: Session, name: string, server: Server): Promise<void> {
  try {
    await session.query('SELECT pg_catalog.pg_drop_replication_slot($1)', [name]);
  } catch (error) {
    if (sqlState(error) === '42704') return;
    if (sqlState(error) === '55006') throw slotBusy(name, server, (await readSlot(session, name))?.activePid ?? null);
    throw error;
  }
}

/**
 * Drops the slot, so that the server keeps no log for an archive any more. false: there was none. Busy while a walsender
 * uses it, PostgresRefused for a logical slot.
 */
export function removeSlot(
  server: Server,
  name: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<boolean> {
  return withSession(server, { applicationName: 'holdfast archive', ...options }, async (session) => {
    const found = await readSlot(session, name);
    if (found === undefined) return false;
    if (found.kind === 'logical')
      throw new HoldfastError(
        'PostgresRefused',
        `replication slot '${name}' of ${describeServer(server)} is a logical one, and not ours`,
        'drop it by hand if nobody needs it',
      );
    if (found.activePid !== null) throw slotBusy(name, server, found.activePid);
    await dropSlot(session, name, server);
    return true;
  });
}

export function slotBusy(name: string, server: Server, pid: number | null, cause?: unknown): HoldfastError {
  const who = pid === null ? 'somebody' : `the walsender with pid ${String(pid)}`;
  return new HoldfastError(
    'Busy',
    `replication slot '${name}' of ${describeServer(server)} is used by ${who}`,
    'another worker archives this cluster, or one that died is not noticed yet (at most a minute); pg_stat_replication shows it',
    cause === undefined ? undefined : { cause },
  );
}

function slotRefused(error: unknown, name: string, server: Server): unknown {
  const refused = (hint: string) =>
    new HoldfastError(
      'PostgresRefused',
      `can't make replication slot '${name}' on ${describeServer(server)}: ${messageOf((error as Error).cause ?? error)}`,
      hint,
      { cause: error },
    );
  switch (sqlState(error)) {
    case '53400':
      return refused('every slot is taken: drop those that nobody needs, or raise max_replication_slots and restart');
    case '42501':
      return refused('let the role replicate, as a superuser: ALTER ROLE … REPLICATION');
    case '55000':
      return refused('set wal_level to replica and max_replication_slots to 10, and restart the server');
    default:
      return error;
  }
}
