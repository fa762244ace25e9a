import type { BaseBackup } from './base-manifest.ts';
import type { ChoiceFacts } from './recovery-choice.ts';
import type { RecoveryTarget } from './recovery-target.ts';
import type { VolumeSeen, Workload, WorkloadFacts } from './workload.ts';

/** What a recovery's plan is made from, and what of it a human approves. */

export interface RecoveryFacts {
  readonly version: 1;
  readonly kind: 'beside' | 'inPlace';
  /** Short id of the run: a plan is one run's. */
  readonly run: string;
  readonly source: {
    readonly cluster: string;
    readonly repository: string;
    readonly systemIdentifier: string;
    readonly versionNum: number;
    readonly segmentBytes: number;
  };
  /** Its timeline is a number. */
  readonly target: RecoveryTarget;
  /** What is fetched: the full backup, then its increments. */
  readonly chain: readonly PlannedBase[];
  /** The way through the timelines; places as text. */
  readonly path: readonly { readonly timeline: number; readonly from: string; readonly to: string | null }[];
  /** Where replay begins, and from where on the copy is consistent. */
  readonly startLsn: string;
  readonly consistentLsn: string;
  readonly makes: {
    readonly directory: string;
    readonly port: number;
    readonly tablespaces: readonly {
      readonly name: string;
      readonly oid: number;
      readonly from: string;
      readonly to: string | null;
    }[];
  };
  /** In place: the server whose data directory is put aside. */
  readonly replaces: {
    readonly address: string;
    readonly directory: string;
    readonly systemIdentifier: string | null;
    readonly timeline: number | null;
  } | null;
  /** In place of a StatefulSet's server: what is scaled to 0, and whose volume is worked on. */
  readonly workload?: WorkloadFacts;
  /** Settings of the source that the copy does not get, with their values. */
  readonly dropped: readonly { readonly name: string; readonly value: string }[];
}

export interface PlannedBase {
  readonly id: string;
  readonly type: 'full' | 'incremental';
  readonly manifestKey: string;
  /** Digest of the manifest's canonical JSON. */
  readonly manifest: string;
  readonly finishedAt: string;
  readonly stopLsn: string;
}

export type DirectoryState = 'absent' | 'empty' | 'ours' | 'occupied' | 'unknown';

export interface Place {
  readonly directory: string;
  /** ours: begun by this very run. */
  readonly state: DirectoryState;
  /** null: can't be known from here. */
  readonly freeBytes: number | null;
}

/** The server as it is now. */
export interface LiveServer {
  readonly address: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly lsn: string;
  readonly dataDirectory: string;
  readonly tablespaces: readonly { readonly name: string; readonly location: string }[];
}

export interface RecoveryPlanFacts extends Omit<ChoiceFacts, 'systemIdentifier'> {
  readonly run: string;
  readonly repository: string;
  /** null: it doesn't answer. */
  readonly live: LiveServer | null;
  /** Majors of PostgreSQL whose server programs the worker has. */
  readonly majors: readonly number[];
  /** Where the copy goes; in place: the cluster's own data directory, which will be free by then. */
  readonly place: Place;
  readonly port: { readonly number: number; readonly free: boolean };
  /** By tablespace name, where the argument maps it. */
  readonly tablespaces: Readonly<Record<string, Place>>;
  /** Versions that this machine's libraries give, by "provider collate"; null or not there: can't be told. */
  readonly collationVersions: Readonly<Record<string, string | null>>;
  /** Measured before; null: not yet. */
  readonly bytesPerSecond: number | null;
  /** In place of a StatefulSet's server. */
  readonly workload?: Workload & { readonly volume: VolumeSeen };
}

export const collationKey = ({ localeProvider, collate }: BaseBackup['manifest']['databases'][number]) =>
  `${localeProvider} ${collate}`;
