import { HoldfastError } from '../../domain/errors.ts';
import { walSegmentKey } from '../../domain/wal-archive.ts';
import { firstPageBytes, firstPageFault } from '../../domain/wal-page.ts';
import { formatLsn, segmentName, segmentStart, type Lsn } from '../../domain/wal.ts';
import { startChain } from '../../process/chain.ts';
import { compressorFor, type Compressor, type Compressors } from '../../streams/compress.ts';
import { Meter } from '../../streams/meter.ts';
import { pour, sinkOf, type Sink } from '../../streams/pour.ts';
import type { ZstdLibrary } from '../../streams/zstd-library.ts';
import type { Repository, Staged, StageOwner, StageWriter } from '../repository.ts';
import { readTrailer } from './read.ts';
import { writeTrailer, type Trailer } from './trailer.ts';

const gatheredBytes = 1_048_576;

/** Where segments are written, and how. */
export interface Archiving {
  readonly repository: Repository;
  readonly cluster: string;
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly compressors: Compressors;
  /** Default: zstd where this machine has it. What is there in the other is found all the same. */
  readonly compression?: 'zstd' | 'gzip';
}

/** A segment that is to be stored. */
export interface NewSegment {
  readonly timeline: number;
  readonly number: bigint;
  /** All of its bytes, at once or as they come. */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>;
  /** By the server's clock, when it sent the last bytes; asked for once the body has ended. */
  readonly endedAt: () => Date | null;
  /**
   * Set for a partial segment: where its log ends, the rest being zeros, or null where nobody knows.
   */
  readonly partial?: { readonly endLsn: Lsn | null };
}

export interface WriteOptions {
  readonly signal: AbortSignal;
  readonly owner: StageOwner;
  /** It becomes visible only once this has resolved, and fails where it fails: segments appear in their order. */
  readonly turn?: Promise<unknown>;
}

export interface WrittenSegment {
  readonly key: string;
  /** Of the plain bytes. */
  readonly sha256: string;
  readonly storedBytes: number;
  /** The same plain bytes lay there before. */
  readonly existed: boolean;
}

/**
 * Compresses and stores one segment with its trailer, visible only when whole. The same plain bytes already there are
 * success, whatever they were compressed with; other bytes are NameTaken with both digests, and stay as they are.
 * ObjectDamaged where the body isn't the segment that it should be (too short, too long, of another place, cluster or
 * timeline), or what lies there tells nothing of itself. Leaves nothing staged, whatever fails.
 */
export async function writeSegment(
  archiving: Archiving,
  segment: NewSegment,
  options: WriteOptions,
): Promise<WrittenSegment> {
  const { body } = segment;
  const key = keyOf(archiving, segment, compressionOf(archiving));
  if (body instanceof Uint8Array) {
    checkBody(archiving, segment, key, body, body.length);
    const there = await findStored(archiving, segment, () => digestOf(body), options.signal);
    if (there !== undefined) {
      await options.turn;
      return there;
    }
  }
  const { staged, sha256 } = await stageSegment(archiving, segment, key, options);
  try {
    await options.turn;
    // Of what came in pieces nobody knew before what it is.
    const there =
      body instanceof Uint8Array ? undefined : await findStored(archiving, segment, () => sha256, options.signal);
    if (there !== undefined) {
      await archiving.repository.sweep(options.owner);
      return there;
    }
    const { bytes } = await archiving.repository.publish(staged, { signal: options.signal });
    return { key, sha256, storedBytes: bytes, existed: false };
  } catch (error) {
    await archiving.repository.sweep(options.owner).catch(() => undefined);
    if (!(error instanceof HoldfastError && error.type === 'NameTaken')) throw error;
    const there = await findStored(archiving, segment, () => sha256, options.signal);
    if (there === undefined) throw error;
    return there;
  }
}

/** What is there under the segment's name, in either compression; NameTaken where it has other bytes. */
async function findStored(
  archiving: Archiving,
  segment: NewSegment,
  /** Asked only where something is there. */
  wanted: () => string,
  signal: AbortSignal,
): Promise<WrittenSegment | undefined> {
  const { repository } = archiving;
  const keys = (['zstd', 'gzip'] as const).map((compression) => keyOf(archiving, segment, compression));
  const sizes = await Promise.all(keys.map((key) => repository.size(key)));
  for (const [index, key] of keys.entries()) {
    const bytes = sizes[index];
    if (bytes === undefined) continue;
    const { trailer, storedBytes } = await readTrailer({ repository, signal }, key, bytes);
    const sha256 = wanted();
    if (trailer.sha256 !== sha256) throw taken(key, trailer.sha256, sha256);
    return { key, sha256, storedBytes, existed: true };
  }
  return undefined;
}

async function stageSegment(
  archiving: Archiving,
  segment: NewSegment,
  key: string,
  { signal, owner }: WriteOptions,
): Promise<{ readonly staged: Staged; readonly sha256: string }> {
  const { repository, segmentBytes, systemIdentifier } = archiving;
  const compression = compressionOf(archiving);
  const compressor = compressorFor(archiving.compressors, compression);
  const writer = await repository.stage(key, owner, signal, { expectedBytes: segmentBytes / 2 });
  try {
    const sha256 = await compress(archiving, segment, key, { compressor, writer, signal });
    const endLsn = segment.partial?.endLsn;
    const trailer: Trailer = {
      version: 1,
      segment: segmentName(segment.timeline, segment.number, segmentBytes),
      timeline: segment.timeline,
      systemIdentifier,
      bytes: segmentBytes,
      sha256,
      endedAt: segment.endedAt()?.toISOString() ?? null,
      endLsn: typeof endLsn === 'bigint' ? formatLsn(endLsn) : null,
    };
    await writer.write(writeTrailer(trailer, compression));
    return { staged: await writer.finish(), sha256 };
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

interface Compressing {
  readonly compressor: Compressor;
  readonly writer: StageWriter;
  readonly signal: AbortSignal;
}

/** Returns the digest of the plain bytes. */
async function compress(
  archiving: Archiving,
  segment: NewSegment,
  key: string,
  compressing: Compressing,
): Promise<string> {
  const { body } = segment;
  const { library } = compressing.compressor;
  return body instanceof Uint8Array && library !== undefined
    ? compressHere(body, library, compressing)
    : compressByCommand(archiving, segment, key, compressing);
}

async function compressHere(body: Uint8Array, library: ZstdLibrary, { writer, signal }: Compressing): Promise<string> {
  const written = library.frame(body, async (frame) => {
    signal.throwIfAborted();
    await writer.write(frame);
  });
  // Meanwhile.
  const [sha256] = await Promise.all([Promise.resolve().then(() => digestOf(body)), written]);
  return sha256;
}

async function compressByCommand(
  archiving: Archiving,
  segment: NewSegment,
  key: string,
  { compressor, writer, signal }: Compressing,
): Promise<string> {
  const chain = startChain([compressor.compress], { stdin: 'pipe', stdout: 'pipe', signal });
  const { stdin } = chain;
  if (stdin === undefined)
    throw new HoldfastError('Unexpected', `${compressor.name} was started without an input`, 'report this as a bug');
  const meter = new Meter();
  const gathering = new Gathering(writer);
  let bodyError: { readonly error: unknown } | undefined;
  const feed = async () => {
    const sink = sinkOf(stdin);
    const from = `the log of ${archiving.cluster}`;
    const body = watched(archiving, segment, key, (error) => (bodyError ??= { error }));
    await pour(body, sink, { signal, from, to: compressor.name, meter });
    await sink.end();
  };
  const fed = feed().catch(async (error: unknown) => {
    await chain.kill();
    throw error;
  });
  try {
    await Promise.all([fed, pour(chain.stdout, gathering, { signal, from: compressor.name, to: 'the repository' })]);
    await chain.finished;
    await gathering.flush();
    return meter.digest();
  } catch (error) {
    await chain.kill();
    await fed.catch(() => undefined);
    throw signal.aborted ? signal.reason : bodyError === undefined ? error : bodyError.error;
  }
}

/**
 * Passes on few large pieces: each is a round through the thread pool, and where the disk or the processors are busy
 * a compressor's small ones would wait longer for their turns than for anything else.
 */
class Gathering implements Sink {
  readonly #target: Sink;
  #chunks: Uint8Array[] = [];
  #bytes = 0;

  constructor(target: Sink) {
    this.#target = target;
  }

  /** Keeps the chunk, which must stay as it is until then, for a later write. */
  async write(chunk: Uint8Array): Promise<void> {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes >= gatheredBytes) await this.flush();
  }

  async flush(): Promise<void> {
    if (this.#bytes === 0) return;
    const all = Buffer.concat(this.#chunks, this.#bytes);
    this.#chunks = [];
    this.#bytes = 0;
    await this.#target.write(all);
  }
}

async function* watched(
  archiving: Archiving,
  segment: NewSegment,
  key: string,
  onError: (error: unknown) => void,
): AsyncGenerator<Uint8Array> {
  try {
    yield* checked(archiving, segment, key);
  } catch (error) {
    onError(error);
    throw error;
  }
}

/** The body, found to be the segment: its first page before anything is passed on, its length at the end. */
async function* checked(archiving: Archiving, segment: NewSegment, key: string): AsyncGenerator<Uint8Array> {
  const { body } = segment;
  if (body instanceof Uint8Array) {
    yield body;
    return;
  }
  let begin: Uint8Array | undefined = new Uint8Array(0);
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    if (bytes > archiving.segmentBytes)
      throw notTheSegment(key, `has more than ${String(archiving.segmentBytes)} bytes`);
    if (begin === undefined) {
      yield chunk;
      continue;
    }
    begin = begin.length === 0 ? chunk : Buffer.concat([begin, chunk]);
    if (begin.length < firstPageBytes) continue;
    checkBody(archiving, segment, key, begin, archiving.segmentBytes);
    yield begin;
    begin = undefined;
  }
  checkBody(archiving, segment, key, begin, bytes);
}

function checkBody(
  { systemIdentifier, segmentBytes }: Archiving,
  { timeline, number }: NewSegment,
  key: string,
  begin: Uint8Array | undefined,
  bytes: number,
): void {
  if (bytes !== segmentBytes) throw notTheSegment(key, `has ${String(bytes)} bytes instead of ${String(segmentBytes)}`);
  if (begin === undefined) return;
  const start = segmentStart(number, segmentBytes);
  const fault = firstPageFault(begin, { systemIdentifier, timeline, start, segmentBytes });
  if (fault !== undefined) throw notTheSegment(key, fault);
}

function digestOf(body: Uint8Array): string {
  const meter = new Meter();
  meter.update(body);
  return meter.digest();
}

const notTheSegment = (key: string, what: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `what was to be stored as WAL segment ${key} ${what}`,
    'nothing was stored; look at where the bytes come from',
  );

const taken = (key: string, there: string, wanted: string) =>
  new HoldfastError(
    'NameTaken',
    `WAL segment ${key} exists already with other content: sha-256 ${there} there, ${wanted} to be stored`,
    'two servers write the same timeline of the same cluster: find out which of them is the right one (a copy that was promoted without a new timeline, a data directory that was rolled back), and archive only that; what is there stays as it is',
  );

const compressionOf = ({ compression, compressors }: Archiving) =>
  compression ?? (compressors.zstd === undefined ? 'gzip' : 'zstd');

function keyOf(archiving: Archiving, { timeline, number, partial }: NewSegment, compression: 'zstd' | 'gzip'): string {
  const ending = compression === 'zstd' ? 'zst' : 'gz';
  const { cluster, systemIdentifier, segmentBytes } = archiving;
  const name = segmentName(timeline, number, segmentBytes);
  return walSegmentKey(cluster, systemIdentifier, timeline, name, partial === undefined ? ending : `partial.${ending}`);
}
