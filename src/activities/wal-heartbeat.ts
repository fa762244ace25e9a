import type { Heartbeat } from './working.ts';

/** What a heartbeat of a WAL archive says besides. */
export interface WalHeartbeat extends Heartbeat {
  readonly archivedLsn: string | null;
  readonly lagBytes: number;
  readonly lagSeconds: number;
  /** What is left before the server gives log up, or stops; null: without end, or unknown. */
  readonly retentionLeftBytes: number | null;
  readonly warnings: readonly string[];
}

/** How an archive stands when the activity ends. LSNs as text, so that it is JSON. */
export interface StreamedWal {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly archivedLsn: string | null;
  readonly segments: number;
  readonly gaps: readonly FoundGap[];
}

export interface FoundGap {
  readonly firstMissing: string;
  readonly lastMissing: string;
}
