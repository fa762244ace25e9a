import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { firstPageBytes, firstPageFault } from '../../domain/wal-page.ts';
import { parseSegmentName, segmentStart } from '../../domain/wal.ts';
import { ToolFailure } from '../../process/chain.ts';
import { compressorFor, type Compressors } from '../../streams/compress.ts';
import { Meter } from '../../streams/meter.ts';
import { unpacked } from '../../streams/unpack.ts';
import { Unreadable } from '../../streams/zstd-library.ts';
import type { Repository } from '../repository.ts';
import { parseSegmentKey, type SegmentKey } from './keys.ts';
import { parseTrailer, trailerBytes, type Trailer } from './trailer.ts';

export interface Reading {
  readonly repository: Repository;
  readonly compressors: Compressors;
  readonly signal: AbortSignal;
}

/** What is wrong with a stored segment, which the message names. */
function segmentDamaged(key: string, what: string, cause?: unknown): HoldfastError {
  return new HoldfastError(
    'ObjectDamaged',
    `WAL segment ${key} ${what}`,
    'recovery can go no further than the segment before it: put the right bytes there if you have them elsewhere (the server, another archive), and take a new base backup',
    cause === undefined ? undefined : { cause },
  );
}

/**
 * The last bytes of a stored segment, which tell what it is, by one small read. ObjectDamaged where they aren't there or
 * tell of another segment than the key; NoSuchBackup where no such object is.
 * @param bytes the object's size, where it is known already
 */
export async function readTrailer(
  { repository, signal }: Pick<Reading, 'repository' | 'signal'>,
  key: string,
  bytes?: number,
): Promise<{ readonly trailer: Trailer; readonly storedBytes: number }> {
  const named = nameOf(key);
  const storedBytes = bytes ?? (await repository.size(key)) ?? missing(repository, key);
  if (storedBytes <= trailerBytes) throw segmentDamaged(key, `is truncated: it has only ${String(storedBytes)} bytes`);
  const range = { offset: storedBytes - trailerBytes, length: trailerBytes };
  const chunks: Uint8Array[] = [];
  for await (const chunk of repository.read(key, range, signal)) chunks.push(chunk);
  const trailer = parseTrailer(Buffer.concat(chunks), named.compression);
  if (trailer === undefined)
    throw segmentDamaged(key, 'is truncated, or was not written by Holdfast: it has no trailer');
  const fault = trailerFault(trailer, named);
  if (fault !== undefined) throw segmentDamaged(key, fault);
  return { trailer, storedBytes };
}

/**
 * The plain bytes of a stored segment, whole or partial, verified against its trailer and against what its own first
 * page says. Nothing comes out before the first page is found right; what came out is to be trusted only after the end.
 * Fails with ObjectDamaged, which names the segment and what is wrong with it, with NoSuchBackup where it isn't there,
 * or with the repository's own error.
 */
export async function* readSegment(reading: Reading, key: string): AsyncGenerator<Uint8Array> {
  const { repository, compressors, signal } = reading;
  const { trailer, storedBytes } = await readTrailer(reading, key);
  const compressor = compressorFor(compressors, nameOf(key).compression);
  const stored = repository.read(key, { offset: 0, length: storedBytes - trailerBytes }, signal);
  const meter = new Meter();
  try {
    for await (const chunk of withFirstPage(unpacked(stored, compressor, { signal }), key, trailer)) {
      meter.update(chunk);
      if (meter.bytes > trailer.bytes) throw segmentDamaged(key, 'unpacks to more bytes than its trailer tells');
      yield chunk;
    }
  } catch (error) {
    throw isDamage(error) ? segmentDamaged(key, `can't be unpacked: ${messageOf(error)}`, error) : error;
  }
  if (meter.bytes < trailer.bytes)
    throw segmentDamaged(key, `unpacks to only ${String(meter.bytes)} of ${String(trailer.bytes)} bytes`);
  if (meter.digest() !== trailer.sha256) throw segmentDamaged(key, "does not have its trailer's sha-256");
}

/** Reads all of it and keeps nothing; errors as readSegment has them. Returns its trailer's digest. */
export async function verifySegment(reading: Reading, key: string): Promise<{ readonly sha256: string }> {
  const meter = new Meter();
  for await (const chunk of readSegment(reading, key)) meter.update(chunk);
  return { sha256: meter.digest() };
}

/** Collects as much as the first page takes, looks at it, and passes everything on. */
async function* withFirstPage(
  body: AsyncIterable<Uint8Array>,
  key: string,
  trailer: Trailer,
): AsyncGenerator<Uint8Array> {
  let begin: Uint8Array | undefined = new Uint8Array(0);
  for await (const chunk of body) {
    if (begin === undefined) {
      yield chunk;
      continue;
    }
    begin = begin.length === 0 ? chunk : Buffer.concat([begin, chunk]);
    if (begin.length < firstPageBytes) continue;
    checkFirstPage(begin, key, trailer);
    yield begin;
    begin = undefined;
  }
  if (begin !== undefined) checkFirstPage(begin, key, trailer);
}

function checkFirstPage(begin: Uint8Array, key: string, trailer: Trailer): void {
  const { systemIdentifier, timeline, bytes } = trailer;
  const id = parseSegmentName(trailer.segment, bytes);
  if (id === undefined) throw segmentDamaged(key, `is no segment of ${String(bytes)} bytes`);
  const start = segmentStart(id.number, bytes);
  const fault = firstPageFault(begin, { systemIdentifier, timeline, start, segmentBytes: bytes });
  if (fault !== undefined) throw segmentDamaged(key, fault);
}

function trailerFault(trailer: Trailer, named: SegmentKey): string | undefined {
  if (trailer.systemIdentifier !== named.systemIdentifier)
    return `is of another cluster: system identifier ${trailer.systemIdentifier}`;
  if (trailer.segment !== named.segment || trailer.timeline !== named.timeline)
    return `holds another segment: ${trailer.segment}`;
  // What archive_command took for partial doesn't tell where it ends.
  if (!named.partial && trailer.endLsn !== null) return `is only the beginning of a segment, up to ${trailer.endLsn}`;
  return undefined;
}

/** A tool that was killed tells nothing of the bytes. */
const isDamage = (error: unknown) =>
  error instanceof Unreadable ||
  (error instanceof ToolFailure && error.exits.every(({ signal }) => signal === null || signal === 'SIGPIPE'));

function nameOf(key: string): SegmentKey {
  const named = parseSegmentKey(key);
  if (named !== undefined) return named;
  throw new HoldfastError(
    'InvalidArgument',
    `${key} is not the key of a WAL segment`,
    'give a key as walSegmentKey makes it',
  );
}

function missing(repository: Repository, key: string): never {
  throw new HoldfastError(
    'NoSuchBackup',
    `WAL segment ${key} is not in ${repository.description}`,
    "'holdfast window' shows from when to when a cluster can be recovered",
  );
}
