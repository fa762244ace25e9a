import type { CnpgBase } from './barman.ts';
import type { JsonObject } from './cnpg-definition.ts';
import type { Obstacle } from './plan.ts';
import type { RecoveryTarget } from './recovery-target.ts';
import type { WalArchive } from './wal-archive.ts';

/** What lies of a cluster's WAL in its object store, by the names of the objects there. */
export interface CnpgWal {
  readonly archive: WalArchive;
  /** By segment name, of the last one of each run: when the store got it, as ISO. What is in it was committed before. */
  readonly storedAt: ReadonlyMap<string, string>;
}

/** The source as it answers now. */
export interface LiveSource {
  readonly systemIdentifier: string;
  /** null: nothing yet. */
  readonly lastArchivedWal: string | null;
  readonly lastArchivedAt: string | null;
}

/** What a recovery into a new Cluster is about to do; its digest is what a run's record and annotations name. */
export interface CnpgRecoveryFacts {
  readonly version: 1;
  readonly kind: 'cnpg';
  /** Short id of the run: a plan is one run's. */
  readonly run: string;
  readonly source: {
    readonly cluster: string;
    readonly namespace: string;
    readonly name: string;
    /** Of the Cluster object; null: it is gone, and the configuration said what it was. */
    readonly uid: string | null;
    readonly systemIdentifier: string | null;
  };
  /** null: volume snapshots alone. */
  readonly store: {
    /** For people: s3://bucket/path/logto-postgres. */
    readonly place: string;
    /** The ObjectStore of the plugin; null: the Cluster's own section. */
    readonly objectStore: string | null;
    readonly serverName: string;
  } | null;
  /** Its timeline is a number where the archive was read. */
  readonly target: RecoveryTarget;
  readonly base: Pick<CnpgBase, 'id' | 'object' | 'timeline' | 'beginWal' | 'endLsn' | 'finishedAt'> & {
    readonly snapshot: boolean;
  };
  readonly makes: {
    readonly namespace: string;
    readonly name: string;
    /** The Cluster, whole, as it is created: one instance, which archives nowhere. */
    readonly object: JsonObject;
    /** What promoting it changes: a merge patch. */
    readonly kept: JsonObject;
    /** Instances, and where it archives, once it is kept; null: nowhere. */
    readonly keptInstances: number;
    readonly keptServerName: string | null;
  };
  /** Members of the source's spec that the new Cluster doesn't get. */
  readonly leftOut: readonly string[];
}

/** What goes on changing while the plan stays the same. */
export interface CnpgRecoveryEstimates {
  /** What is possible, in words, and by what it is known. */
  readonly range: string;
  readonly baseAgeSeconds: number;
  /** What the data takes, at least; null: not known. */
  readonly dataBytes: number | null;
  /** Segments from the base backup to the end of what is archived without a hole; null: not known. */
  readonly walSegments: number | null;
  /** Where that ends; null: not known. */
  readonly archivedLsn: string | null;
  readonly archivedAt: string | null;
}

export interface CnpgRecoveryPlan {
  readonly facts: CnpgRecoveryFacts;
  readonly estimates: CnpgRecoveryEstimates;
  readonly obstacles: readonly Obstacle[];
  readonly steps: readonly string[];
}
