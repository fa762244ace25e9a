import { availableParallelism } from 'node:os';
import { gzipSync } from 'node:zlib';
import { HoldfastError } from '../domain/errors.ts';
import { type Command, capture, captureBytes } from '../process/chain.ts';
import { findZstdLibrary, type ZstdLibrary } from './zstd-library.ts';

/**
 * Two commands that read stdin and write stdout. What `compress` writes may be concatenated with more of its kind;
 * `decompress` reads any number of such members and fails on one that is cut off or damaged.
 */
export interface Compressor {
  readonly compression: 'gzip' | 'zstd';
  /** igzip, pigz, gzip, zstd, or node:zlib. */
  readonly name: string;
  readonly version: string;
  readonly compress: Command;
  readonly decompress: Command;
  /** Makes the same without a process, of what is whole in memory; undefined: this machine can't. */
  readonly library?: ZstdLibrary | undefined;
}

export interface Compressors {
  readonly gzip: Compressor;
  /** undefined: no zstd on this machine. */
  readonly zstd: Compressor | undefined;
  /** What is slower here than it could be, or missing, a sentence each: for the log. */
  readonly slower: readonly string[];
}

/** Where a tool lies; undefined if it isn't there. */
export type FindTool = (name: string) => string | undefined;

/** More threads than this gain nothing: the dump that feeds them is one stream. */
const maxZstdThreads = 4;

/**
 * What this machine compresses with. gzip: igzip, else pigz, else gzip, else Node's own zlib in a child process, always
 * at level 1, so that a dump doesn't wait for its compressor. A tool that is there but doesn't run counts as missing.
 */
export async function findCompressors(find: FindTool, signal: AbortSignal): Promise<Compressors> {
  const gzip =
    (await igzip(find, signal)) ??
    (await gzipLike('pigz', find, signal)) ??
    (await gzipLike('gzip', find, signal)) ??
    nodeZlib();
  const zstd = await zstdTool(find, signal);
  const slower: string[] = [];
  if (gzip.name !== 'igzip')
    slower.push(`gzip files are made by ${gzip.name}: with igzip (Debian: isal) backups are faster`);
  if (zstd === undefined) slower.push('zstd is not installed: policies with compression zstd fail on this worker');
  return { gzip, zstd, slower };
}

/** The compressor of a policy; ToolMissing for zstd where there is none. */
export function compressorFor(compressors: Compressors, compression: 'gzip' | 'zstd'): Compressor {
  if (compression === 'gzip') return compressors.gzip;
  if (compressors.zstd !== undefined) return compressors.zstd;
  throw new HoldfastError(
    'ToolMissing',
    "zstd was not found on the worker's PATH",
    'install zstd on the worker, or set compression: gzip in the policy',
  );
}

/** One whole gzip member; the same bytes for the same input. For small texts: it works on the event loop. */
export function gzipMember(bytes: string | Uint8Array): Uint8Array {
  return gzipSync(bytes, { level: 1 });
}

/** One whole zstd frame, made by the compressor's own command. */
export async function zstdFrame(
  zstd: Compressor,
  bytes: string | Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { stdout } = await captureBytes(zstd.compress, { signal, input: bytes, maxBytes: 64 * 1024 * 1024 });
  return stdout;
}

/** One whole member of the compressor's kind. */
export async function member(
  compressor: Compressor,
  bytes: string | Uint8Array,
  signal: AbortSignal,
): Promise<Uint8Array> {
  switch (compressor.compression) {
    case 'gzip':
      return gzipMember(bytes);
    case 'zstd':
      return zstdFrame(compressor, bytes, signal);
  }
}

async function igzip(find: FindTool, signal: AbortSignal): Promise<Compressor | undefined> {
  const file = find('igzip');
  const version = await versionOf(file, signal);
  if (file === undefined || version === undefined) return undefined;
  const compress = { file, args: ['-1', '-c'] };
  return { compression: 'gzip', name: 'igzip', version, compress, decompress: { file, args: ['-d', '-c'] } };
}

async function gzipLike(name: 'pigz' | 'gzip', find: FindTool, signal: AbortSignal): Promise<Compressor | undefined> {
  const file = find(name);
  const version = await versionOf(file, signal);
  if (file === undefined || version === undefined) return undefined;
  // -n: no time in the header, so that the same input gives the same bytes.
  const compress = { file, args: ['-1', '-n', '-c'] };
  return { compression: 'gzip', name, version, compress, decompress: { file, args: ['-d', '-c'] } };
}

async function zstdTool(find: FindTool, signal: AbortSignal): Promise<Compressor | undefined> {
  const file = find('zstd');
  const version = await versionOf(file, signal);
  if (file === undefined || version === undefined) return undefined;
  const threads = Math.min(availableParallelism(), maxZstdThreads);
  const compress = { file, args: ['-1', `-T${String(threads)}`, '-q', '-c'] };
  const decompress = { file, args: ['-d', '-q', '-c'] };
  return { compression: 'zstd', name: 'zstd', version, compress, decompress, library: findZstdLibrary() };
}

function nodeZlib(): Compressor {
  const script = (transform: string) =>
    `const { pipeline } = require('node:stream'); const zlib = require('node:zlib');
     pipeline(process.stdin, ${transform}, process.stdout, (error) => {
       if (error) { console.error(error.message); process.exitCode = 1; }
     });`;
  const command = (transform: string) => ({
    file: process.execPath,
    args: ['-e', script(transform)],
    name: 'node:zlib',
  });
  return {
    compression: 'gzip',
    name: 'node:zlib',
    version: process.versions.zlib,
    compress: command('zlib.createGzip({ level: 1, chunkSize: 262144 })'),
    decompress: command('zlib.createGunzip({ chunkSize: 262144 })'),
  };
}

/** The number in what `--version` prints (on stderr in old pigz); undefined where the tool can't be run. */
async function versionOf(file: string | undefined, signal: AbortSignal): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    const { stdout, stderr } = await capture({ file, args: ['--version'] }, { signal, maxBytes: 65_536 });
    return /\d+(\.\d+)+/.exec(`${stdout}\n${stderr}`)?.[0] ?? 'unknown';
  } catch {
    signal.throwIfAborted();
    return undefined;
  }
}
