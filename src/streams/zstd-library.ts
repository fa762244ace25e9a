import koffi from 'koffi';
import { HoldfastError } from '../domain/errors.ts';
import { inTurn, type Lending } from './lent.ts';

/** Debian's libzstd1, and what other distributions call the same. */
const libraryName = 'libzstd.so.1';
/** ZSTD_c_compressionLevel and ZSTD_c_checksumFlag of zstd.h; stable since 1.4.0. */
const parameters = { level: 100, checksum: 201 } as const;
const oldest = 10_400;

/** How much comes out of `unpack` at a time, at most. */
const pieceBytes = 1024 * 1024;

/** Makes and reads zstd frames in this process, on Node's threads for such work. */
export interface ZstdLibrary {
  readonly version: string;
  /**
   * Compresses all of the bytes into one frame at level 1, with its checksum, as the zstd command does, and hands it to
   * `use`. The bytes must stay as they are until this resolves; the frame is valid until `use` has ended. As many calls
   * as there are at once have memory of their own (a frame's largest size each), which is used again.
   */
  frame<T>(bytes: Uint8Array, use: (frame: Uint8Array) => Promise<T>): Promise<T>;
  /**
   * What one or more frames hold, in pieces of up to a megabyte; the next one is made while the caller is at work.
   * Fails with the body's own error, else with ToolFailed: damaged, cut off, or no frame at all.
   * @param body its chunks have to stay as they are only until the next one is asked for
   */
  unpack(body: AsyncIterable<Uint8Array>, options?: Lending): AsyncGenerator<Uint8Array>;
}

/** libzstd, if this machine has one that can be called; a process for each frame costs several times as much. */
export function findZstdLibrary(): ZstdLibrary | undefined {
  const library = load();
  return library === undefined ? undefined : bind(library);
}

function load(): Native | undefined {
  try {
    return koffi.load(libraryName);
  } catch {
    return undefined;
  }
}

type Native = ReturnType<typeof koffi.load>;
type NativeFunction = ReturnType<Native['func']>;

function bind(library: Native): ZstdLibrary | undefined {
  const versionNumber = library.func('unsigned int ZSTD_versionNumber()') as () => number;
  if (versionNumber() < oldest) return undefined;
  const version = library.func('const char *ZSTD_versionString()') as () => string;
  const bound = library.func('size_t ZSTD_compressBound(size_t bytes)') as (bytes: number) => number;
  const isError = library.func('unsigned int ZSTD_isError(size_t code)') as (code: number | bigint) => number;
  const errorName = library.func('const char *ZSTD_getErrorName(size_t code)') as (code: number | bigint) => string;
  const createContext = library.func('void *ZSTD_createCCtx()') as () => unknown;
  const setParameter = library.func('size_t ZSTD_CCtx_setParameter(void *context, int name, int value)') as (
    context: unknown,
    name: number,
    value: number,
  ) => number | bigint;
  const compress = library.func(
    'size_t ZSTD_compress2(void *context, _Out_ uint8_t *target, size_t room, const uint8_t *source, size_t bytes)',
  );

  const createReader = library.func('void *ZSTD_createDCtx()') as () => unknown;
  const freeReader = library.func('size_t ZSTD_freeDCtx(void *context)') as (context: unknown) => number;
  const decompress = library.func(
    'size_t ZSTD_decompressStream_simpleArgs(void *context, uint8_t *target, size_t room, void *targetAt, const uint8_t *source, size_t bytes, void *sourceAt)',
  );

  const checked = (code: number | bigint): number => {
    if (isError(code) !== 0) throw new Error(`libzstd: ${errorName(code)}`);
    return Number(code);
  };
  const free: Bench[] = [];

  return {
    version: version(),
    async frame(bytes, use) {
      const bench = free.pop() ?? newBench();
      try {
        const room = bound(bytes.length);
        if (bench.memory.length < room) bench.memory = Buffer.allocUnsafeSlow(room);
        const { context, memory } = bench;
        const length = checked(await onThread(compress, context, memory, memory.length, bytes, bytes.length));
        return await use(memory.subarray(0, length));
      } finally {
        // ZSTD_compress2 begins a new frame each time, whatever became of the one before.
        free.push(bench);
      }
    },
    async *unpack(body, { lent = false } = {}) {
      const reader = createReader();
      if (reader === null) throw new Error('libzstd: no memory for a context');
      const pieces = unpackWith(reader, body, lent ? inTurn(pieceBytes) : newPiece);
      let making = pieces.next();
      try {
        for (let made = await making; made.done !== true; made = await making) {
          making = pieces.next();
          // It fails where it is awaited.
          making.catch(() => undefined);
          yield made.value;
        }
      } finally {
        // The library works on memory of ours until then.
        await making.catch(() => undefined);
        await pieces.return(undefined);
        freeReader(reader);
      }
    },
  };

  async function* unpackWith(
    reader: unknown,
    body: AsyncIterable<Uint8Array>,
    nextPiece: () => Buffer,
  ): AsyncGenerator<Uint8Array> {
    let piece = nextPiece();
    const pieceAt = new BigUint64Array(1);
    const chunkAt = new BigUint64Array(1);
    const isFull = () => Number(pieceAt[0]) === pieceBytes;
    /** What the library still expects of the frame, or holds of it; of a body without any byte, one. */
    let missing = 1;
    for await (const chunk of body) {
      chunkAt[0] = 0n;
      while (Number(chunkAt[0]) < chunk.length || (isFull() && missing > 0)) {
        if (isFull()) {
          yield piece;
          piece = nextPiece();
          pieceAt[0] = 0n;
        }
        const code = await onThread(decompress, reader, piece, pieceBytes, pieceAt, chunk, chunk.length, chunkAt);
        if (isError(code) !== 0) throw new Unreadable(errorName(code));
        missing = Number(code);
      }
    }
    if (missing > 0) throw new Unreadable('it ends too early');
    if (Number(pieceAt[0]) > 0) yield piece.subarray(0, Number(pieceAt[0]));
  }

  function newBench(): Bench {
    const context = createContext();
    if (context === null) throw new Error('libzstd: no memory for a context');
    checked(setParameter(context, parameters.level, 1));
    checked(setParameter(context, parameters.checksum, 1));
    return { context, memory: Buffer.alloc(0) };
  }
}

const newPiece = () => Buffer.allocUnsafeSlow(pieceBytes);

/** Calls a function of the library beside the event loop. What it is given must stay as it is meanwhile. */
const onThread = (called: NativeFunction, ...values: readonly unknown[]): Promise<number | bigint> =>
  new Promise((resolve, reject) => {
    called.async(...values, (error: Error | null, code: number | bigint) => {
      if (error === null) resolve(code);
      else reject(error);
    });
  });

/** What is stored is damaged, cut off, or was never made by zstd. */
export class Unreadable extends HoldfastError {
  constructor(why: string) {
    super('ToolFailed', `zstd can't unpack what is stored: ${why}`, 'verify the backup, and restore from another one');
  }
}

/** What one call works with. */
interface Bench {
  readonly context: unknown;
  memory: Buffer;
}
