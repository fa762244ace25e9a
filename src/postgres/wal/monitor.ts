import { messageOf } from '../../domain/errors.ts';
import { parseLsn, segmentNumber, type Lsn } from '../../domain/wal.ts';
import type { Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import { LagKeeper } from './lag.ts';
import { slotColumns, slotOf, type Slot } from './slot.ts';

/** How archiving stands. */
export interface WalReport {
  readonly timeline: number;
  /** Everything before it is in the repository, gaps that were told of aside; null: nothing yet. */
  readonly archivedLsn: Lsn | null;
  /** Where the server's log ends. */
  readonly serverLsn: Lsn;
  readonly lagBytes: number;
  /** How old the oldest log is that isn't archived, by the server's clock. */
  readonly lagSeconds: number;
  /** undefined: it is gone. */
  readonly slot: (Pick<Slot, 'walStatus' | 'safeWalBytes'> & { readonly name: string }) | undefined;
  /** Stored by this call. */
  readonly segments: number;
  readonly storedBytes: number;
  /** Over the last five minutes, or as long as it has been. */
  readonly segmentsPerMinute: number;
  /** A sentence each. */
  readonly warnings: readonly string[];
}

interface StateRow {
  readonly lsn: string;
  readonly at: Date;
  readonly standby: boolean;
  readonly slot_type: 'physical' | 'logical' | null;
  readonly active_pid: number | null;
  readonly restart_lsn: string | null;
  readonly wal_status: Slot['walStatus'];
  readonly safe_wal_size: string | null;
}

const stateQuery = `SELECT coalesce(CASE WHEN pg_catalog.pg_is_in_recovery()
    THEN greatest(pg_catalog.pg_last_wal_receive_lsn(), pg_catalog.pg_last_wal_replay_lsn())
    ELSE pg_catalog.pg_current_wal_flush_lsn() END, '0/0')::text AS lsn,
  pg_catalog.clock_timestamp() AS at, pg_catalog.pg_is_in_recovery() AS standby, slot.*
  FROM (SELECT 1) AS one LEFT JOIN
    (SELECT ${slotColumns} FROM pg_catalog.pg_replication_slots WHERE slot_name = $1) AS slot ON true`;

/** XLogLongPageHeaderData: a segment that holds no more than this holds nothing. */
const emptySegmentBytes = 40n;

const rateWindowMs = 5 * 60_000;

/** Counts, asks the server how it stands, and asks it for a new segment where a quiet one holds back its log. */
export class Monitor {
  timeline = 0;
  /** Set once anything of the server's log is known to be archived. */
  archivedLsn: Lsn | null = null;
  segments = 0;
  storedBytes = 0;
  #lag = new LagKeeper(0n, null);
  #from: Lsn = 0n;
  readonly #session: Session;
  readonly #slot: string;
  readonly #segmentBytes: number;
  readonly #warnings = new Map<string, string>();
  readonly #began = performance.now();
  #stored: number[] = [];
  #switched: bigint | undefined;

  constructor(session: Session, slot: string, segmentBytes: number) {
    this.#session = session;
    this.#slot = slot;
    this.#segmentBytes = segmentBytes;
  }

  warn(about: string, sentence: string): void {
    this.#warnings.set(about, sentence);
  }

  /** What comes next follows on this place: what was archived before, or where a gap ends. */
  begin(timeline: number, from: Lsn, endedAt: Date | null, isArchived: boolean): void {
    this.timeline = timeline;
    this.#from = from;
    if (isArchived) this.archivedLsn = from;
    this.#lag = new LagKeeper(from, endedAt);
  }

  observe(serverEnd: Lsn, at: Date): void {
    this.#lag.observe(serverEnd, at);
  }

  stored(end: Lsn, storedBytes: number, isWhole: boolean): void {
    if (this.archivedLsn === null || end > this.archivedLsn) this.archivedLsn = end;
    this.#lag.archive(end);
    this.storedBytes += storedBytes;
    if (!isWhole) return;
    this.segments += 1;
    const now = performance.now();
    this.#stored = [...this.#stored.filter((at) => at > now - rateWindowMs), now];
  }

  /**
   * Asks the server. Where its oldest log that isn't archived is older than maxAgeMs and lies in the segment that is
   * being written, it is asked to begin a new one.
   */
  async report(maxAgeMs: number | undefined): Promise<WalReport> {
    const [row] = await this.#session.query<StateRow>(stateQuery, [this.#slot]);
    if (row === undefined) throw new Error('the server answered a query for its state with nothing');
    const serverLsn = parseLsn(row.lsn);
    const { slot_type, at } = row;
    this.#lag.observe(serverLsn, at);
    const lagSeconds = this.#lag.secondsAt(at, serverLsn);
    const from = this.archivedLsn ?? this.#from;
    const lagBytes = serverLsn > from ? Number(serverLsn - from) : 0;
    const slot = slot_type === null ? undefined : slotOf({ ...row, slot_type });
    if (!row.standby && maxAgeMs !== undefined && lagSeconds * 1_000 > maxAgeMs) await this.#switch(from, serverLsn);
    return {
      timeline: this.timeline,
      archivedLsn: this.archivedLsn,
      serverLsn,
      lagBytes,
      lagSeconds,
      slot: slot && { name: this.#slot, walStatus: slot.walStatus, safeWalBytes: slot.safeWalBytes },
      segments: this.segments,
      storedBytes: this.storedBytes,
      segmentsPerMinute: this.#rate(),
      warnings: [...this.#warnings.values()],
    };
  }

  /** Once for each segment, and only where that is what is waited for. */
  async #switch(archived: Lsn, serverLsn: Lsn): Promise<void> {
    const current = segmentNumber(serverLsn, this.#segmentBytes);
    const isEmpty = serverLsn % BigInt(this.#segmentBytes) <= emptySegmentBytes;
    const isBehind = segmentNumber(archived, this.#segmentBytes) !== current;
    if (isEmpty || isBehind || this.#switched === current) return;
    this.#switched = current;
    try {
      await this.#session.query('SELECT pg_catalog.pg_switch_wal()');
    } catch (error) {
      if (sqlState(error) !== '42501') throw error;
      this.warn(
        'pg_switch_wal',
        `a quiet server keeps its newest log until a segment is full: ${messageOf(error)}; GRANT EXECUTE ON FUNCTION pg_switch_wal() to the role, or set archive_timeout`,
      );
    }
  }

  #rate(): number {
    const spanMs = Math.min(rateWindowMs, performance.now() - this.#began);
    return spanMs < 1_000 ? 0 : (this.#stored.length * 60_000) / spanMs;
  }
}
