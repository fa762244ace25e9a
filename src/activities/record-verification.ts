import { sha256Hex } from '../domain/canonical.ts';
import { verificationKey, type VerificationEvidence } from '../domain/evidence.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { Repository } from '../storage/repository.ts';
import type { StoredVerification } from './verify-stored.ts';

/** Puts what reading a backup back has shown beside it, as evidence. */
export async function recordVerification(
  repository: Repository,
  { id, cluster }: { readonly id: string; readonly cluster: string },
  run: RunIdentity,
  found: StoredVerification,
  signal: AbortSignal,
): Promise<void> {
  const verifiedAt = new Date();
  const evidence: VerificationEvidence = {
    version: 1,
    kind: 'verify',
    backup: id,
    cluster,
    verifiedAt: verifiedAt.toISOString(),
    run,
    ...found,
  };
  const text = `${JSON.stringify(evidence)}\n`;
  const key = verificationKey(cluster, id, verifiedAt, sha256Hex(text).slice(0, 8), found.outcome);
  await repository.put(key, { run: run.short, attempt: 1 }, new TextEncoder().encode(text), signal);
}
