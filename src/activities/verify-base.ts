import type { BaseManifest } from '../domain/base-manifest.ts';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import { baseManifestAt } from '../storage/physical-catalog.ts';
import type { Repository } from '../storage/repository.ts';
import type { Compressors } from '../streams/compress.ts';
import { Meter, metered } from '../streams/meter.ts';
import { unpackedFrom } from '../streams/unpack.ts';
import type { Dependencies } from './dependencies.ts';
import { recordVerification } from './record-verification.ts';
import type { VerifyInput } from './site-backup.ts';
import type { StoredVerification } from './verify-stored.ts';
import type { Working } from './working.ts';

/** Reads a base backup back and puts what it found beside it as evidence. VerificationFailed where it is damaged. */
export async function verifyBase(
  deps: Dependencies,
  { repository: spec, manifestKey, run }: VerifyInput,
  { signal, report }: Working,
): Promise<{ readonly plainBytes: number }> {
  const repository = deps.openRepository(spec);
  const manifest = await baseManifestAt(repository, manifestKey);
  const found = await verifyStoredBase(repository, manifest, deps.compressors, {
    signal,
    onProgress: (bytes, totalBytes) => {
      report({ doing: `reading back ${manifest.id}`, bytes, totalBytes });
    },
  });
  await deps.failpoint('verify:read');
  await recordVerification(repository, manifest, run, found, signal);
  if (found.outcome === 'failed')
    throw new HoldfastError(
      'VerificationFailed',
      `base backup ${manifest.id} is damaged: ${found.damage.slice(0, 3).join('; ')}`,
      'it is not used for recoveries any more; look at the storage, and take another',
    );
  return { plainBytes: found.plainBytes };
}

/**
 * Reads every object of a base backup: size and SHA-256 as stored, and that the archives unpack (lz4 is checked by its
 * digest only). What is wrong is told, never thrown. That a server starts from it is for a drill to show.
 */
export async function verifyStoredBase(
  repository: Repository,
  manifest: BaseManifest,
  compressors: Compressors,
  {
    signal,
    onProgress,
  }: { readonly signal: AbortSignal; readonly onProgress?: (bytes: number, total: number) => void },
): Promise<StoredVerification> {
  const total = manifest.objects.reduce((sum, { bytes }) => sum + bytes, 0);
  const compressionOf = new Map(manifest.archives.map(({ key, compression }) => [key, compression]));
  const damage: string[] = [];
  const parts: { readonly length: number; readonly sha256: string }[] = [];
  let storedBytes = 0;
  for (const { key, bytes, sha256 } of manifest.objects) {
    const before = storedBytes;
    const stored = new Meter((read) => onProgress?.(before + read, total));
    const compression = compressionOf.get(key) ?? 'none';
    try {
      const body = metered(repository.read(key, undefined, signal, { lent: true }), stored);
      const plain = compression === 'lz4' ? body : unpackedFrom(body, compression, compressors, signal, { lent: true });
      const unpacked = new Meter();
      for await (const chunk of plain) unpacked.update(chunk);
      parts.push({ length: unpacked.bytes, sha256: unpacked.digest() });
      if (stored.bytes !== bytes) damage.push(`${key} has ${String(stored.bytes)} bytes instead of ${String(bytes)}`);
      else if (stored.digest() !== sha256) damage.push(`${key} does not have the recorded sha-256`);
    } catch (error) {
      if (!isDamage(error) || signal.aborted) throw error;
      damage.push(`${key}: ${messageOf(error)}`);
    }
    storedBytes = before + stored.bytes;
  }
  const plainBytes = parts.reduce((sum, { length }) => sum + length, 0);
  return { outcome: damage.length === 0 ? 'passed' : 'failed', storedBytes, plainBytes, parts, damage };
}

/** What an object that is cut off, gone or flipped makes of reading it; a store that doesn't answer is none. */
const isDamage = (error: unknown) =>
  error instanceof HoldfastError && ['ObjectDamaged', 'NoSuchBackup', 'ToolFailed'].includes(error.type);
