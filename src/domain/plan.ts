import { digestOf, type Json } from './canonical.ts';
import type { Selection } from './dump-survey.ts';
import type { Origin } from './manifest.ts';

/**
 * What a restore is about to do, in words and numbers. The digest covers the facts: what a human approves is exactly
 * that, and the same facts are read again under the lease before anything is switched. Estimates may move.
 */

/**
 * - `swap`: a copy beside the live database, exchanged with it after approval
 * - `create`: a database under a name that is free
 * - `cluster`: everything, into an empty cluster
 * - `schema`: tables or schemas of a database, into a new schema of the live one
 */
export type RestoreKind = 'swap' | 'create' | 'cluster' | 'schema';

/** What was found when the copy was compared with the backup's manifest. */
export interface CopyReport {
  readonly ok: boolean;
  readonly tables: number;
  readonly rows: number;
  /** What differs, named; the first fifty. */
  readonly differences: readonly string[];
  readonly notes: readonly string[];
}

export interface RestoreFacts {
  readonly version: 1;
  readonly kind: RestoreKind;
  /** Short id of the run: a plan is one run's. */
  readonly run: string;
  readonly source: {
    readonly cluster: string;
    readonly repository: string;
    readonly backup: string;
    /** Digest of the manifest's canonical JSON. */
    readonly manifest: string;
    /** When the data was read: the database's snapshot, or the backup's start. */
    readonly takenAt: string;
    /** Where Holdfast didn't make it: who put it into the catalog, or that nobody did, and what may run. */
    readonly origin?: Pick<Origin, 'kind' | 'by' | 'reason' | 'findings' | 'allow'>;
  };
  readonly target: {
    readonly cluster: string;
    readonly address: string;
    readonly systemIdentifier: string;
    readonly timeline: number;
    readonly versionNum: number;
    /** The database as users know it; null for a whole cluster. */
    readonly database: string | null;
    /** OID of the live database that would be put aside; null where none is. */
    readonly liveOid: number | null;
  };
  /** Name of the database while it is being made. */
  readonly copyName: string | null;
  /** What of the database is restored; without it all. */
  readonly selection?: Selection;
  /** For kind `schema`: the new schema. */
  readonly schema?: string;
  /** OID of the verified copy; null before it is made. */
  readonly copyOid: number | null;
  /** Name that the live database gets at the swap. */
  readonly oldName: string | null;
  /** Whose owner, privileges, settings and comment it gets, and their digest. */
  readonly properties: { readonly from: 'live' | 'backup'; readonly digest: string } | null;
  /** Roles that are created first. */
  readonly createRoles: readonly string[];
  /** For a whole cluster: what is there already and will be altered or filled. */
  readonly adopts: { readonly roles: readonly string[]; readonly databases: readonly string[] } | null;
  readonly report: CopyReport | null;
}

export interface RestoreEstimates {
  readonly backupAgeSeconds: number;
  /** Stored bytes that are read. */
  readonly readBytes: number;
  /** What the copy will take on the target's disk, beside what is there. */
  readonly needBytes: number;
  /** Free space at the target; null: can't be known from here. */
  readonly freeBytes: number | null;
  readonly expectedSeconds: number | null;
  /** Sessions on the live database right now, which the swap ends. */
  readonly sessions: number | null;
}

export interface Obstacle {
  /** hopeless: fails before anything is made. swap: stands in the way of the swap only. note: to know. */
  readonly weight: 'hopeless' | 'swap' | 'note';
  readonly what: string;
  readonly cure: string;
}

export interface RestorePlan {
  readonly facts: RestoreFacts;
  readonly estimates: RestoreEstimates;
  readonly obstacles: readonly Obstacle[];
}

export const planDigest = (plan: RestorePlan) => digestOf(plan.facts as unknown as Json);

/** How a digest is shown and typed. */
export const shortDigest = (digest: string) => digest.slice(0, 12);

export const hopeless = (plan: RestorePlan) => plan.obstacles.filter(({ weight }) => weight === 'hopeless');

/** A dump is code: one that is not in the catalog runs only after a human has seen what was found in it. */
export const isUnvouched = ({ facts }: RestorePlan) => facts.source.origin?.kind === 'surveyed';

/**
 * Whether a human decides before the restore goes on from this plan. What only creates something new needs nobody;
 * what puts a live database aside, or alters roles and fills databases that are there, needs one approval.
 */
export function needsApproval(plan: RestorePlan): boolean {
  if (isUnvouched(plan)) return true;
  switch (plan.facts.kind) {
    case 'swap':
      return true;
    case 'create':
    case 'schema':
      return false;
    case 'cluster':
      return plan.facts.adopts !== null && plan.facts.adopts.roles.length + plan.facts.adopts.databases.length > 0;
  }
}
