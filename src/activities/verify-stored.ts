import { createHash } from 'node:crypto';
import { gunzipSync } from 'node:zlib';
import { HoldfastError, messageOf } from '../domain/errors.ts';
import type { VerificationEvidence } from '../domain/evidence.ts';
import { isArchive, totalBytes, type Manifest, type Part } from '../domain/manifest.ts';
import type { Repository } from '../storage/repository.ts';
import type { Compressors } from '../streams/compress.ts';
import { unpackedFrom } from '../streams/unpack.ts';

export type StoredVerification = Pick<
  VerificationEvidence,
  'outcome' | 'storedBytes' | 'plainBytes' | 'parts' | 'damage'
>;

export interface VerifyOptions {
  readonly signal: AbortSignal;
  readonly onProgress: (storedBytes: number, totalBytes: number) => void;
}

/** Parts up to this size are unpacked in memory: most of a backup's parts are a few lines of SQL. */
const smallBytes = 1 << 20;

/**
 * Reads a backup back, whole: size and SHA-256 of every object and part as stored, that every part unpacks, that each
 * dump ends as a whole dump does, and the digest of what was unpacked. Damage is an outcome, not an error; errors are
 * what keeps it from finding out (StoreUnavailable, ToolMissing).
 */
export async function verifyStored(
  repository: Repository,
  manifest: Manifest,
  compressors: Compressors,
  options: VerifyOptions,
): Promise<StoredVerification> {
  const total = totalBytes(manifest);
  const damage: string[] = [];
  const parts: { length: number; sha256: string }[] = [];
  let storedBytes = 0;
  let plainBytes = 0;
  const onChunk = (chunk: Uint8Array) => {
    storedBytes += chunk.length;
    options.onProgress(storedBytes, total);
  };
  for (const object of manifest.objects) {
    const size = await repository.size(object.key);
    if (size !== object.bytes)
      damage.push(
        `object ${object.key} ${size === undefined ? 'is missing' : `is ${String(size)} bytes long, not ${String(object.bytes)}`}`,
      );
    const whole = createHash('sha256');
    let expectedOffset = 0;
    for (const part of rangesOf(manifest, object)) {
      const name = describe(part);
      if (part.offset !== expectedOffset)
        damage.push(
          `${name} begins at ${String(part.offset)}, not where the part before it ends (${String(expectedOffset)})`,
        );
      expectedOffset = part.offset + part.length;
      try {
        const found = await readPart(repository, part, compressors, options.signal, (chunk) => {
          whole.update(chunk);
          onChunk(chunk);
        });
        parts.push({ length: found.length, sha256: found.sha256 });
        plainBytes += found.length;
        if (found.storedSha256 !== part.sha256)
          damage.push(`${name}: its stored bytes don't have the recorded sha-256`);
        if (part.plain !== null && found.sha256 !== part.plain.sha256)
          damage.push(`${name}: what it unpacks to doesn't have the recorded sha-256`);
        if (!endsWhole(part, found.tail)) damage.push(`${name} doesn't end as a whole dump does`);
      } catch (error) {
        if (!isDamage(error)) throw error;
        parts.push({ length: 0, sha256: '' });
        damage.push(`${name} can't be read: ${messageOf(error)}`);
      }
    }
    if (damage.length === 0 && whole.digest('hex') !== object.sha256)
      damage.push(`object ${object.key} doesn't have the recorded sha-256`);
    if (expectedOffset !== object.bytes)
      damage.push(`the parts of ${object.key} end at ${String(expectedOffset)}, the object at ${String(object.bytes)}`);
  }
  return {
    outcome: damage.length === 0 ? 'passed' : 'failed',
    storedBytes,
    plainBytes,
    parts,
    damage: damage.slice(0, 50),
  };
}

type Range = Omit<Part, 'name'> & { readonly name: Part['name'] | 'file' };

/**
 * What of an object is read, in order. The parts of a dump that others made share its bytes, which are read once; of a
 * directory format's files only the first is a part.
 */
function rangesOf(manifest: Manifest, { key, bytes, sha256 }: Manifest['objects'][number]): readonly Range[] {
  const parts = manifest.parts.filter(({ object }) => object === key);
  const [first] = parts;
  if (first === undefined) {
    const file = { name: 'file' as const, object: key, offset: 0, length: bytes, sha256 };
    return [{ ...file, plain: null, compression: 'none', encryption: null }];
  }
  return first.within === undefined ? parts : [{ ...first, name: 'file' }];
}

interface FoundPart {
  readonly storedSha256: string;
  readonly length: number;
  readonly sha256: string;
  /** The last 4 KiB before compression. */
  readonly tail: Buffer;
}

async function readPart(
  repository: Repository,
  part: Range,
  compressors: Compressors,
  signal: AbortSignal,
  onChunk: (chunk: Uint8Array) => void,
): Promise<FoundPart> {
  const stored = createHash('sha256');
  const body = observed(
    repository.read(part.object, { offset: part.offset, length: part.length }, signal, { lent: true }),
    (chunk) => {
      stored.update(chunk);
      onChunk(chunk);
    },
  );
  const plain =
    part.compression === 'gzip' && part.length <= smallBytes
      ? unpackedSmall(body)
      : unpackedFrom(body, part.compression, compressors, signal, { lent: true });
  const digest = createHash('sha256');
  let length = 0;
  let tail = Buffer.alloc(0);
  for await (const chunk of plain) {
    digest.update(chunk);
    length += chunk.length;
    tail = chunk.length >= 4096 ? Buffer.from(chunk.subarray(-4096)) : Buffer.concat([tail, chunk]).subarray(-4096);
  }
  return { storedSha256: stored.digest('hex'), length, sha256: digest.digest('hex'), tail };
}

async function* observed(
  body: AsyncIterable<Uint8Array>,
  see: (chunk: Uint8Array) => void,
): AsyncGenerator<Uint8Array> {
  for await (const chunk of body) {
    see(chunk);
    yield chunk;
  }
}

async function* unpackedSmall(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(Buffer.from(chunk));
  try {
    yield gunzipSync(Buffer.concat(chunks));
  } catch (error) {
    throw new HoldfastError('ObjectDamaged', messageOf(error), 'take another backup', { cause: error });
  }
}

/** What the bytes themselves say, against what keeps us from reading them. */
const isDamage = (error: unknown) =>
  error instanceof HoldfastError &&
  (error.type === 'ObjectDamaged' || error.type === 'ToolFailed' || error.type === 'NoSuchBackup');

const describe = ({ name, database, object }: Range) =>
  name === 'file'
    ? `file ${object}`
    : database === undefined
      ? `part ${name}`
      : `part ${name} of database '${database}'`;

/** pg_dump writes "dump complete" near its end, before what fences it off from psql. */
function endsWhole(part: Range, tail: Buffer): boolean {
  if (isArchive(part)) return true;
  switch (part.name) {
    case 'content':
      return tail.includes('-- PostgreSQL database dump complete');
    case 'footer':
      return tail.includes('-- PostgreSQL database cluster dump complete');
    case 'globals':
    case 'properties':
    case 'file':
      return true;
  }
}
