import koffi from 'koffi';

/** Debian's libzstd1, and what other distributions call the same. */
const libraryName = 'libzstd.so.1';
/** ZSTD_c_compressionLevel and ZSTD_c_checksumFlag of zstd.h; stable since 1.4.0. */
const parameters = { level: 100, checksum: 201 } as const;
const oldest = 10_400;

/** Makes whole zstd frames in this process, on threads of its own. */
export interface ZstdLibrary {
  readonly version: string;
  /**
   * Compresses all of the bytes into one frame at level 1, with its checksum, as the zstd command does, and hands it to
   * `use`. The bytes must stay as they are until this resolves; the frame is valid until `use` has ended. As many calls
   * as there are at once have memory of their own (a frame's largest size each), which is used again.
   */
  frame<T>(bytes: Uint8Array, use: (frame: Uint8Array) => Promise<T>): Promise<T>;
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
        const length = await new Promise<number | bigint>((resolve, reject) => {
          compress.async(
            context,
            memory,
            memory.length,
            bytes,
            bytes.length,
            (error: Error | null, code: number | bigint) => {
              if (error === null) resolve(code);
              else reject(error);
            },
          );
        });
        return await use(memory.subarray(0, checked(length)));
      } finally {
        // ZSTD_compress2 begins a new frame each time, whatever became of the one before.
        free.push(bench);
      }
    },
  };

  function newBench(): Bench {
    const context = createContext();
    if (context === null) throw new Error('libzstd: no memory for a context');
    checked(setParameter(context, parameters.level, 1));
    checked(setParameter(context, parameters.checksum, 1));
    return { context, memory: Buffer.alloc(0) };
  }
}

/** What one call works with. */
interface Bench {
  readonly context: unknown;
  memory: Buffer;
}
