import { evidenceDirectory, stamp } from './ids.ts';
import type { Reached, Verdict } from './recovery-reached.ts';
import type { RunIdentity } from './run.ts';

/** What reading a whole backup back showed. Written once, beside the manifest that it is about. Version 1. */
export interface VerificationEvidence {
  readonly version: 1;
  readonly kind: 'verify';
  readonly backup: string;
  readonly cluster: string;
  readonly outcome: 'passed' | 'failed';
  readonly verifiedAt: string;
  readonly run: RunIdentity | null;
  readonly storedBytes: number;
  readonly plainBytes: number;
  /** Size and SHA-256 of each part before compression, in the manifest's order. */
  readonly parts: readonly { readonly length: number; readonly sha256: string }[];
  /** What is wrong, named. */
  readonly damage: readonly string[];
}

/** What a restore into a scratch instance showed. Written once, passed or failed. Version 1. */
export interface DrillEvidence {
  readonly version: 1;
  readonly kind: 'drill';
  readonly backup: string;
  readonly cluster: string;
  readonly policy: string;
  /** passed: restored, and every check passed. */
  readonly outcome: 'passed' | 'failed';
  readonly startedAt: string;
  readonly finishedAt: string;
  readonly run: RunIdentity | null;
  /** RTO as measured: from the first byte read to an instance that answers; null: it never answered. */
  readonly restoreSeconds: number | null;
  /**
   * RPO as measured: how old the restored data was when the drill began, by the last replayed transaction, else by the
   * backup; null: nothing was restored.
   */
  readonly dataAgeSeconds: number | null;
  readonly checks: readonly DrillCheckResult[];
  /** Of a base backup: where its recovery ended, next to where it should have; null: a logical backup, or none. */
  readonly reached: (Reached & { readonly verdict: Verdict }) | null;
  readonly toolVersions: Readonly<Record<string, string>>;
}

export interface DrillCheckResult {
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What was found, or why it was skipped, on one line. */
  readonly detail: string;
}

/** A drill passes by its checks: none failed, at least one passed. */
export const drillOutcome = (checks: readonly Pick<DrillCheckResult, 'outcome'>[]): 'passed' | 'failed' =>
  checks.some(({ outcome }) => outcome === 'passed') && checks.every(({ outcome }) => outcome !== 'failed')
    ? 'passed'
    : 'failed';

/** `<cluster>/evidence/<backup>/drill-20261122-030000-a1b2c3d4-passed.json`, as verificationKey. */
export function drillKey(
  cluster: string,
  backup: string,
  at: Date,
  nonce: string,
  outcome: 'passed' | 'failed',
): string {
  return `${evidenceDirectory(cluster, backup)}/drill-${stamp(at)}-${nonce}-${outcome}.json`;
}

/**
 * The outcome stands in the name, so that the catalog can be read without opening every piece of evidence:
 * `<cluster>/evidence/<backup>/verify-20261121-020000-a1b2c3d4-passed.json`.
 */
export function verificationKey(
  cluster: string,
  backup: string,
  at: Date,
  nonce: string,
  outcome: 'passed' | 'failed',
): string {
  return `${evidenceDirectory(cluster, backup)}/verify-${stamp(at)}-${nonce}-${outcome}.json`;
}

/** The outcome of each backup's newest verification, from the keys of all evidence in a repository. */
export const verificationOf = (keys: readonly string[]) => outcomesOf('verify', keys);

/** As verificationOf, of restore drills. */
export const drillOf = (keys: readonly string[]) => outcomesOf('drill', keys);

/** Of two in the same second the one that failed counts. */
function outcomesOf(
  kind: 'verify' | 'drill',
  keys: readonly string[],
): (cluster: string, backup: string) => 'passed' | 'failed' | 'none' {
  const newest = new Map<string, { readonly at: string; readonly outcome: 'passed' | 'failed' }>();
  for (const key of keys) {
    const match = /^([^/]+)\/evidence\/([^/]+)\/(verify|drill)-(\d{8}-\d{6})-[^/]*-(passed|failed)\.json$/.exec(key);
    if (match?.[3] !== kind) continue;
    const [, cluster = '', backup = '', , at = '', outcome] = match;
    const known = newest.get(`${cluster}/${backup}`);
    if (!known || at > known.at || (at === known.at && outcome === 'failed')) {
      newest.set(`${cluster}/${backup}`, { at, outcome: outcome === 'passed' ? 'passed' : 'failed' });
    }
  }
  return (cluster, backup) => newest.get(`${cluster}/${backup}`)?.outcome ?? 'none';
}
