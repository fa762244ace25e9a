import { randomBytes } from 'node:crypto';
import type { Selection } from '../domain/dump-survey.ts';
import { isArchive, type Manifest, type Part } from '../domain/manifest.ts';
import { knowsFences } from '../domain/psql-flaws.ts';
import { archiveToolsVersionNum, loadArchive } from '../postgres/archive/restore.ts';
import type { Server } from '../postgres/connection.ts';
import { dumpVersionOf } from '../postgres/restore/dump-version.ts';
import { load, type LoadReport } from '../postgres/restore/load.ts';
import { loadable } from '../postgres/script/loadable.ts';
import { findTools, type Tools } from '../postgres/tools.ts';
import { compressorFor } from '../streams/compress.ts';
import { localArchive, refuseFlawedReader } from './archive-files.ts';
import type { Dependencies } from './dependencies.ts';
import { plainPart, storedPart, type Source } from './source.ts';

/** Connections that restore one archive at once. */
export const restoreJobs = 2;

export interface Loading {
  readonly server: Server;
  /** See restoreTools. */
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
  if (isArchive(part)) return loadFromArchive(source, loading);
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

/**
 * The client tools that restore a backup onto a server: an archive needs a pg_restore that isn't older than its pg_dump,
 * and, where others made it, one that runs nothing hidden in it. Fails as findTools does, and with DumpRefused.
 */
export async function restoreTools(deps: Dependencies, manifest: Manifest, serverVersionNum: number): Promise<Tools> {
  const places = deps.toolPlaces(await deps.config());
  if (!manifest.parts.some(isArchive)) return findTools(serverVersionNum, places);
  const tools = await findTools(archiveToolsVersionNum(dumpVersionOf(manifest), serverVersionNum), places);
  if (manifest.origin !== undefined) refuseFlawedReader(tools, manifest.origin.allow, manifest.id);
  return tools;
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
  const { manifest, signal } = source;
  const { part, selection, databaseBytes, onProgress, ...target } = loading;
  const archive = await localArchive(source, part, manifest.objects);
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
