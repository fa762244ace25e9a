import { randomBytes } from 'node:crypto';
import type { Selection } from '../domain/dump-survey.ts';
import type { Manifest, Part } from '../domain/manifest.ts';
import { knowsFences } from '../domain/psql-flaws.ts';
import { archiveToolsVersionNum, loadArchive } from '../postgres/archive/restore.ts';
import type { Server } from '../postgres/connection.ts';
import { dumpVersionOf } from '../postgres/restore/dump-version.ts';
import { load, type LoadReport } from '../postgres/restore/load.ts';
import { loadable } from '../postgres/script/loadable.ts';
import type { Tools } from '../postgres/tools.ts';
import type { Repository } from '../storage/repository.ts';
import { compressorFor, type Compressors } from '../streams/compress.ts';
import { cut } from '../streams/cut.ts';
import type { ScratchOwner } from '../streams/scratch.ts';
import { unpacked } from '../streams/unpack.ts';
import { verified } from '../streams/verified.ts';
import { localArchive, refuseFlawedReader } from './archive-files.ts';

const stallMs = 10 * 60_000;
/** Connections that restore one archive at once. */
export const restoreJobs = 2;

export interface Source {
  readonly repository: Repository;
  readonly manifest: Manifest;
  readonly compressors: Compressors;
  readonly scratch: string;
  readonly owner: ScratchOwner;
  readonly signal: AbortSignal;
}

/** The part's stored bytes; ends well only if they are what the manifest says. */
export function storedPart({ repository, signal }: Pick<Source, 'repository' | 'signal'>, part: Part) {
  const { object, offset, length, sha256, name, database } = part;
  return verified(repository.read(object, { offset, length }, signal), {
    name: `${object}, ${name}${database === undefined ? '' : ` of '${database}'`}`,
    bytes: length,
    sha256,
  });
}

/**
 * The part's SQL, unpacked; ends well only if it is what the manifest says. Of a dump that others made it is the range
 * that belongs to the part: what lies behind it isn't read.
 */
export function plainPart(source: Source, part: Part): AsyncIterable<Uint8Array> {
  const { repository, compressors, signal } = source;
  const { object, offset, length, within } = part;
  const unpack = (body: AsyncIterable<Uint8Array>) =>
    part.compression === 'none'
      ? body
      : unpacked(body, compressorFor(compressors, part.compression), { signal, stallMs });
  if (within === undefined) return unpack(storedPart(source, part));
  return cut(unpack(repository.read(object, { offset, length }, signal)), { ...within, name: object });
}

export interface Loading {
  readonly server: Server;
  /** Of the target's major version. */
  readonly tools: Tools;
  readonly database: string;
  readonly oid: number;
  readonly part: Part;
  /** What the database took on its server; 0: unknown. */
  readonly databaseBytes: number;
  /** undefined: everything. */
  readonly selection: Selection | undefined;
  readonly onProgress: (bytes: number) => void;
}

/**
 * Loads the contents of one database, in whatever format they lie, into an empty one. What Holdfast wrote itself flows
 * from the store through the decompressor into psql; what somebody else wrote, or what is only a part of the database,
 * is read statement by statement on the way, and nothing reaches psql that was not judged before.
 */
export async function loadContent(source: Source, loading: Loading): Promise<LoadReport> {
  const { manifest, signal } = source;
  const { part, selection, server, tools, database, oid, onProgress } = loading;
  const dumpVersion = dumpVersionOf(manifest);
  if (part.format !== undefined && part.format !== 'plain') return loadFromArchive(source, loading);
  const asStored = manifest.origin === undefined && selection === undefined;
  return load({
    ...{ server, tools, database, oid, dumpVersion, signal, onProgress },
    ...(asStored
      ? {
          stored: storedPart(source, part),
          compressor: part.compression === 'none' ? undefined : compressorFor(source.compressors, part.compression),
        }
      : { stored: judged(source, part, tools, selection), compressor: undefined }),
  });
}

/** Whether pg_restore reads it. */
export const isArchive = ({ parts }: Pick<Manifest, 'parts'>) =>
  parts.some(({ format }) => format !== undefined && format !== 'plain');

/** The version whose client tools restore a backup: an archive needs a pg_restore that isn't older than its pg_dump. */
export function toolsVersionNum(manifest: Manifest, serverVersionNum: number): number {
  return isArchive(manifest) ? archiveToolsVersionNum(dumpVersionOf(manifest), serverVersionNum) : serverVersionNum;
}

/** What of a part's SQL may be fed to psql. */
export function judged(
  source: Source,
  part: Part,
  tools: Pick<Tools, 'version'>,
  selection: Selection | undefined,
): AsyncIterable<Uint8Array> {
  const { origin } = source.manifest;
  return loadable(plainPart(source, part), {
    database: part.database ?? '',
    trusted: origin === undefined,
    allow: origin?.allow ?? [],
    ...(selection === undefined ? {} : { selection }),
    // psql itself then takes no command, whatever the reader may have missed.
    ...(knowsFences(tools.version) ? { restrictKey: randomBytes(24).toString('hex') } : {}),
  });
}

async function loadFromArchive(source: Source, loading: Loading): Promise<LoadReport> {
  const { manifest, compressors, scratch, owner, signal, repository } = source;
  const { part, selection, databaseBytes, onProgress, ...target } = loading;
  if (manifest.origin !== undefined) refuseFlawedReader(target.tools, manifest.origin.allow, part.object);
  const archive = await localArchive({
    ...{ repository, part, compressors, scratch, owner, signal },
    objects: manifest.objects,
  });
  try {
    return await loadArchive({
      ...target,
      source: archive.path,
      jobs: restoreJobs,
      dumpVersion: dumpVersionOf(manifest),
      ...(selection === undefined ? {} : { selection }),
      ...(databaseBytes === 0 ? {} : { databaseBytes }),
      signal,
      onProgress,
    });
  } finally {
    await archive.release();
  }
}
