import type { SegmentRun } from '../../domain/wal-archive.ts';
import type { Lsn } from '../../domain/wal.ts';

/** Where the log goes: the archive of one system identifier in a repository (src/storage/wal/archive.ts is one). */
export interface WalSink {
  /** For messages. */
  readonly description: string;
  /** Removes what a process that died while it wrote has left. */
  sweep(): Promise<unknown>;
  /** What lies there of one timeline: whole segments, without gaps between those of a run, and partial ones. */
  timeline(timeline: number): Promise<{ readonly runs: readonly SegmentRun[]; readonly partials: readonly bigint[] }>;
  /** When the server sent the last bytes of a stored segment, by its clock; null where nobody knows. */
  segmentEndedAt(timeline: number, number: bigint, signal: AbortSignal): Promise<Date | null>;
  /**
   * Stores a whole segment, lastingly once it resolves, visible only once `turn` has resolved. The same bytes there
   * already are success, others NameTaken; ObjectDamaged where the body isn't the segment it should be.
   */
  write(segment: SinkSegment, options: SinkOptions): Promise<SinkWritten>;
  /** As write, for the beginning of a segment; what lies there already stays. */
  writePartial(segment: SinkSegment & Required<Pick<SinkSegment, 'partial'>>, options: SinkOptions): Promise<unknown>;
  /** The same history there already is success, another NameTaken. */
  putHistory(timeline: number, content: Uint8Array, signal: AbortSignal): Promise<unknown>;
  history(timeline: number): Promise<string | undefined>;
}

export interface SinkSegment {
  readonly timeline: number;
  readonly number: bigint;
  /** All of its bytes, at once or as they come. The caller doesn't touch them until it is stored. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** By the server's clock; asked for once the body has ended. */
  readonly endedAt: () => Date | null;
  readonly partial?: { readonly endLsn: Lsn | null };
}

export interface SinkOptions {
  readonly signal: AbortSignal;
  readonly turn?: Promise<unknown>;
}

export interface SinkWritten {
  readonly key: string;
  /** Of the plain bytes. */
  readonly sha256: string;
  readonly storedBytes: number;
  readonly existed: boolean;
}

/** What a take-over asks for besides. */
export interface TakeOverSink extends WalSink {
  putBackupLabel(name: string, content: Uint8Array, signal: AbortSignal): Promise<unknown>;
  /** Reads a stored object to its end; ObjectDamaged where it isn't what it should be. */
  verify(key: string, signal: AbortSignal): Promise<{ readonly sha256: string }>;
}
