import type { Lsn } from '../../domain/wal.ts';
import type { Server } from '../server.ts';
import type { WalReport } from './monitor.ts';
import type { WalSink } from './sink.ts';

export interface ReceiveInput {
  readonly server: Server;
  /** As slotName makes it. Made where it is missing, and left when this ends. */
  readonly slot: string;
  /** Opens the archive of a log. */
  readonly sink: (log: { readonly systemIdentifier: string; readonly segmentBytes: number }) => WalSink;
  /** The only cluster whose log is taken; undefined: whichever answers. */
  readonly expectedSystemIdentifier?: string | undefined;
  /** Aborting ends it well, see receiveWal; before the stream has begun it ends at once, with the signal's reason. */
  readonly signal: AbortSignal;
  /** Ends well after so long; undefined: only by the signal. */
  readonly durationMs?: number | undefined;
  /**
   * How old the newest log may become without being archived, while nothing else brings the segment to its end: the
   * server is then asked for a new one, if it is a primary. undefined: never.
   */
  readonly maxAgeMs?: number | undefined;
  /** At once when it is found, and again by every call that finds it. */
  readonly onGap?: ((gap: WalGap) => void) | undefined;
  readonly onReport?: ((report: WalReport) => void) | undefined;
  /** Default 5 s. */
  readonly reportMs?: number;
  /** Segments that are compressed and stored at the same time; default 3. */
  readonly inFlight?: number;
  /** How often the server hears from us; default 10 s. */
  readonly statusMs?: number;
  /** How long what is under way may take once it shall end; default 20 s. */
  readonly stopGraceMs?: number;
  /** A server that hasn't heard from us for so long takes us for dead, and the slot is free again; default 60 s. */
  readonly walSenderTimeoutMs?: number;
  readonly applicationName?: string;
}

/** Log that is not in the archive and that the server doesn't have any more: recovery can't cross it. */
export interface WalGap {
  readonly timeline: number;
  /** Both are segments' begins; the first byte that is missing, … */
  readonly from: Lsn;
  /** … and the first that is not. */
  readonly to: Lsn;
}

export interface ReceiveResult {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly timeline: number;
  /** null: nothing of this log is archived yet. */
  readonly archivedLsn: Lsn | null;
  /** Stored by this call. */
  readonly segments: number;
  readonly storedBytes: number;
  readonly gaps: readonly WalGap[];
}
