import type { PolicyConfig } from '../../domain/config.ts';
import type { FiveFields } from '../discovery/six-fields.ts';
import type { Unread } from '../discovery/found.ts';

/** A member of `policies:` that does what a ScheduledBackup did. */
export interface ImportedPolicy {
  readonly cluster: string;
  readonly method: 'cnpg';
  readonly cnpg: NonNullable<PolicyConfig['cnpg']>;
  /** undefined: it is suspended, so nothing starts it. */
  readonly schedule?: string;
  readonly timezone?: string;
  readonly window?: string;
}

/** What becomes of a ScheduledBackup. */
export type Outcome =
  | { readonly kind: 'policy'; readonly policy: string; readonly section: ImportedPolicy }
  /** A policy of the configuration does its work already. */
  | { readonly kind: 'known'; readonly policy: string }
  /** Sentences' ends: why it can't become a policy, and what to do. */
  | { readonly kind: 'refused'; readonly why: string; readonly cure: string };

export interface Imported {
  readonly namespace: string;
  readonly name: string;
  /** The Cluster that it backs up, in the same namespace. */
  readonly cluster: string;
  /** As it is written there, seconds first. */
  readonly schedule: string;
  readonly fiveFields: FiveFields;
  readonly suspended: boolean;
  /** Of the object that was read. */
  readonly resourceVersion: string | undefined;
  readonly outcome: Outcome;
  /** What of it isn't carried over, and what else to know: a sentence each. */
  readonly notes: readonly string[];
}

export interface Import {
  /** By namespace, then name. */
  readonly imported: readonly Imported[];
  /** Those that the policies need and the configuration lacks. */
  readonly clusters: Readonly<Record<string, { readonly cnpg: { readonly namespace: string; readonly name: string } }>>;
  readonly policies: Readonly<Record<string, ImportedPolicy>>;
  /** Objects that this version doesn't understand. */
  readonly unread: readonly Unread[];
}
