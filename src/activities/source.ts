import type { Manifest, Part } from '../domain/manifest.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { Repository } from '../storage/repository.ts';
import type { Compressors } from '../streams/compress.ts';
import { cut } from '../streams/cut.ts';
import type { ScratchOwner } from '../streams/scratch.ts';
import { unpackedFrom } from '../streams/unpack.ts';
import { verified } from '../streams/verified.ts';
import type { Dependencies } from './dependencies.ts';
import type { PlannedRestore } from './plan-restore.ts';

/** Where parts are read, and with what. */
export interface Reading {
  readonly repository: Repository;
  readonly compressors: Compressors;
  /** The worker's scratch directory, and in whose name something lies there. */
  readonly scratch: string;
  readonly owner: ScratchOwner;
  readonly signal: AbortSignal;
}

/** A backup that is read. */
export interface Source extends Reading {
  readonly manifest: Manifest;
}

export const sourceOf = (
  deps: Dependencies,
  { repository }: PlannedRestore,
  manifest: Manifest,
  run: RunIdentity,
  signal: AbortSignal,
): Source => ({
  repository: deps.openRepository(repository),
  manifest,
  compressors: deps.compressors,
  scratch: deps.scratch,
  owner: { run: run.short, attempt: 1 },
  signal,
});

/** The part's stored bytes; ends well only if they are what the manifest says. */
export function storedPart({ repository, signal }: Reading, part: Part): AsyncIterable<Uint8Array> {
  const { object, offset, length, sha256, name, database } = part;
  return verified(repository.read(object, { offset, length }, signal), {
    name: `${object}, ${name}${database === undefined ? '' : ` of '${database}'`}`,
    bytes: length,
    sha256,
  });
}

/**
 * What the part's stored bytes unpack to; ends well only if it is what the manifest says. Of a dump that others made it
 * is the range that belongs to the part: what lies behind it isn't read.
 */
export function plainPart(reading: Reading, part: Part): AsyncIterable<Uint8Array> {
  const { repository, compressors, signal } = reading;
  const { object, offset, length, within, compression } = part;
  if (within === undefined) return unpackedFrom(storedPart(reading, part), compression, compressors, signal);
  const whole = repository.read(object, { offset, length }, signal);
  return cut(unpackedFrom(whole, compression, compressors, signal), { ...within, name: object });
}
