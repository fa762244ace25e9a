import type { Backup } from './catalog.ts';
import { evidenceDirectory, stamp } from './ids.ts';
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
export function verificationOf(keys: readonly string[]): (cluster: string, backup: string) => Backup['verification'] {
  const newest = new Map<string, { readonly at: string; readonly outcome: 'passed' | 'failed' }>();
  for (const key of keys) {
    const match = /^([^/]+)\/evidence\/([^/]+)\/verify-(\d{8}-\d{6})-[^/]*-(passed|failed)\.json$/.exec(key);
    if (!match) continue;
    const [, cluster = '', backup = '', at = '', outcome] = match;
    const known = newest.get(`${cluster}/${backup}`);
    if (!known || at > known.at || (at === known.at && outcome === 'failed')) {
      newest.set(`${cluster}/${backup}`, { at, outcome: outcome === 'passed' ? 'passed' : 'failed' });
    }
  }
  return (cluster, backup) => newest.get(`${cluster}/${backup}`)?.outcome ?? 'none';
}
