import { HoldfastError } from '../../domain/errors.ts';
import type { DatabaseRecord } from '../../domain/manifest.ts';
import { makeScratch, sweepScratch, type Scratch, type ScratchOwner } from '../../streams/scratch.ts';
import { withSession } from '../connection.ts';
import { asAttempt } from '../dump/attempt.ts';
import { dumpGlobals } from '../dump/globals.ts';
import { Members, type DumpPart, type DumpSink } from '../dump/members.ts';
import {
  assertNotAllFailed,
  foreignTools,
  identityChanges,
  notDumped,
  reasonToSkip,
  recordOfFailure,
  unknownExclusions,
} from '../dump/records.ts';
import { stallAfterMs, type ClusterDump, type ClusterDumpRequest, type DumpProgress } from '../dump/write.ts';
import { readIdentity, type DatabaseEntry, type ServerLook } from '../inspect.ts';
import type { Tools } from '../tools.ts';
import { dumpCustom, dumpDirectory } from './database.ts';
import { writeGlobalsObject } from './globals-object.ts';
import { archiveSuffixes, expectedArchiveBytes, globalsSuffix, type ArchiveFormat } from './names.ts';
import { jobsFor, Slots } from './slots.ts';

/** What is known of an object that is whole: a repository's Staged is one. */
export interface StoredArchive {
  readonly bytes: number;
  readonly sha256: string;
}

/** Where one object is written; a repository's StageWriter is one. */
export interface ArchiveSink<Stored extends StoredArchive> extends DumpSink {
  finish(): Promise<Stored>;
  /** Throws away what was written; never fails. */
  abort(): Promise<void>;
}

export interface ArchivesDumpRequest<Stored extends StoredArchive> extends Omit<ClusterDumpRequest, 'sink'> {
  readonly format: ArchiveFormat;
  /** Connections that read at once, all databases together; each database's snapshot has one more. */
  readonly jobs: number;
  /** Of the archives, by pg_dump itself; `compressor` is for the globals. */
  readonly compression: 'gzip' | 'zstd';
  /**
   * Opens the object that is called `<id>.<suffix>`. Up to `jobs` are open at once.
   * @param expectedBytes a guess
   */
  readonly open: (suffix: string, expectedBytes: number) => Promise<ArchiveSink<Stored>>;
  /** For format directory: where, and in whose name. What earlier attempts of the run left there is removed. */
  readonly scratch: { readonly root: string; readonly owner: ScratchOwner };
}

export interface ArchiveObject<Stored extends StoredArchive> {
  readonly suffix: string;
  readonly stored: Stored;
}

/** `object` is a suffix. */
export type ArchivePart = DumpPart & { readonly object: string };

export interface ArchivesDump<Stored extends StoredArchive> extends Omit<ClusterDump, 'parts'> {
  /** Globals, each database's properties and the footer, which lie in the first object; then the contents. */
  readonly parts: readonly ArchivePart[];
  /** The globals first, then the databases in the order of the records. */
  readonly objects: readonly ArchiveObject<Stored>[];
}

/**
 * Dumps a whole server into several objects: an archive for each database, which pg_restore reads, and at the end a
 * script for psql that makes the roles, tablespaces and empty databases. Databases are dumped side by side, the largest
 * first, each in a snapshot of its own. One that fails leaves no object, is recorded with its reason and doesn't stop
 * the others.
 *
 * Rejects as writeClusterDump does, with ConfigurationInvalid where pg_dump can't compress that way, and with the error
 * of `open` or of a sink. Nothing of it runs any more then, and every sink that isn't finished is aborted; what was
 * finished is the caller's to throw away.
 */
export async function writeDatabaseArchives<Stored extends StoredArchive>(
  request: ArchivesDumpRequest<Stored>,
): Promise<ArchivesDump<Stored>> {
  assertCompression(request.tools, request.compression);
  await sweepScratch(request.scratch.root, request.scratch.owner);
  return asAttempt(request, async (look, env) => {
    const { root, owner } = request.scratch;
    const scratch = request.format === 'directory' ? await makeScratch(root, owner) : undefined;
    try {
      return await new ArchiveRun(request, look, env, scratch).run();
    } finally {
      await scratch?.remove();
    }
  });
}

/** ConfigurationInvalid where this pg_dump can't compress its archives so. */
export function assertCompression(tools: Pick<Tools, 'major' | 'version'>, compression: 'gzip' | 'zstd'): void {
  if (compression === 'gzip' || tools.major >= 16) return;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `method pg_dump with compression zstd needs pg_dump 16 or newer, and the server's is ${tools.version}`,
    'set compression: gzip in the policy, or method: pg_dumpall',
  );
}

interface Outcome<Stored extends StoredArchive> {
  readonly record: DatabaseRecord;
  readonly warnings: readonly string[];
  /** Only where it was dumped. */
  readonly archive?: { readonly object: ArchiveObject<Stored>; readonly part: ArchivePart };
}

/** One dump under way, with what it has counted so far. */
class ArchiveRun<Stored extends StoredArchive> {
  readonly #request: ArchivesDumpRequest<Stored>;
  readonly #look: ServerLook;
  readonly #env: Readonly<Record<string, string>>;
  readonly #scratch: Scratch | undefined;
  readonly #stallMs: number;
  /** Aborted by the first failure that is nobody's database's. */
  readonly #failed = new AbortController();
  readonly #signal: AbortSignal;
  readonly #suffixes: ReadonlyMap<string, string>;
  /** Bytes of each database so far, or of its object. */
  readonly #bytes = new Map<string, number>();
  #allBytes = 0;
  #done = 0;
  #total = 0;

  constructor(
    request: ArchivesDumpRequest<Stored>,
    look: ServerLook,
    env: Readonly<Record<string, string>>,
    scratch: Scratch | undefined,
  ) {
    this.#request = request;
    this.#look = look;
    this.#env = env;
    this.#scratch = scratch;
    this.#stallMs = request.stallMs ?? stallAfterMs(request.lockTimeoutMs);
    this.#signal = AbortSignal.any([request.signal, this.#failed.signal]);
    this.#suffixes = archiveSuffixes(look.databases, request.format);
  }

  async run(): Promise<ArchivesDump<Stored>> {
    const { server, tools, exclude, signal, compressor } = this.#request;
    const look = this.#look;
    this.#report('globals', null);
    const globals = await dumpGlobals(server, tools, this.#env, signal);
    const outcomes = await this.#dumpAll();
    const records = outcomes.map(({ record }) => record);
    assertNotAllFailed(server, records);
    this.#report('footer', null);
    const script = await this.#writeGlobals(globals, records);
    const archives = outcomes.flatMap(({ archive }) => (archive === undefined ? [] : [archive]));
    return {
      status: records.some(({ status }) => status === 'failed') ? 'partial' : 'complete',
      server: look.server,
      tools: { pg_dump: tools.version, [compressor.name]: compressor.version },
      parts: [...script.parts, ...archives.map(({ part }) => part)],
      objects: [script.object, ...archives.map(({ object }) => object)],
      databases: records,
      roles: look.roles,
      tablespaces: look.tablespaces,
      warnings: [
        ...look.warnings,
        ...unknownExclusions(look, exclude),
        ...foreignTools(tools, look),
        ...outcomes.flatMap(({ warnings }) => warnings),
        ...script.warnings,
        ...identityChanges(look.server, await withSession(server, { signal }, readIdentity)),
      ],
    };
  }

  /** In the order of the look, whatever the order in which they were dumped. */
  async #dumpAll(): Promise<Outcome<Stored>[]> {
    const { exclude, jobs, format } = this.#request;
    const outcomes = new Map<string, Outcome<Stored>>();
    const queue: DatabaseEntry[] = [];
    for (const database of this.#look.databases) {
      const skip = reasonToSkip(database, exclude, this.#look);
      if (skip === null) queue.push(database);
      else outcomes.set(database.name, { record: notDumped(database, 'skipped', skip), warnings: [] });
    }
    this.#total = queue.length;
    queue.sort((a, b) => b.bytes - a.bytes);
    let remaining = queue.reduce((sum, { bytes }) => sum + bytes, 0);
    const slots = new Slots(jobs);
    const running = new Set<Promise<void>>();
    for (const database of queue) {
      const taken = await slots.take((free) =>
        format === 'custom' ? 1 : jobsFor(database.bytes, remaining, jobs, free),
      );
      if (this.#signal.aborted) break;
      remaining -= database.bytes;
      const dumping = this.#dumpOne(database, taken, slots)
        .then(
          (outcome) => {
            outcomes.set(database.name, outcome);
          },
          (error: unknown) => {
            this.#failed.abort(error);
          },
        )
        .finally(() => running.delete(dumping));
      running.add(dumping);
    }
    await Promise.all(running);
    this.#signal.throwIfAborted();
    return this.#look.databases.flatMap(({ name }) => outcomes.get(name) ?? []);
  }

  /** Fails only with what ends the whole dump. Gives back the slots that were taken. */
  async #dumpOne(database: DatabaseEntry, taken: number, slots: Slots): Promise<Outcome<Stored>> {
    let held = taken;
    // One is kept while its tar is stored: the scratch directory must not fill faster than it is emptied.
    const keepOne = () => {
      slots.give(held - 1);
      held = 1;
    };
    try {
      const suffix = this.#suffixes.get(database.name) ?? `_oid${String(database.oid)}`;
      const sink = await this.#request.open(suffix, expectedArchiveBytes(database));
      let isWhole = false;
      try {
        const outcome = await this.#dumpInto(sink, suffix, database, { jobs: taken, onDumped: keepOne });
        isWhole = outcome.archive !== undefined;
        return outcome;
      } finally {
        if (!isWhole) await sink.abort();
        this.#done += 1;
        this.#report('content', database.name);
      }
    } finally {
      slots.give(held);
    }
  }

  async #dumpInto(
    sink: ArchiveSink<Stored>,
    suffix: string,
    database: DatabaseEntry,
    { jobs, onDumped }: { readonly jobs: number; readonly onDumped: () => void },
  ): Promise<Outcome<Stored>> {
    const { server, tools, compressor, lockTimeoutMs, applicationName, countRows, compression } = this.#request;
    const { systemIdentifier } = this.#look.server;
    const signal = this.#signal;
    const stallMs = this.#stallMs;
    const archive = this.#scratch === undefined ? 'custom' : 'directory-tar';
    const members = new Members({ sink, compressor, signal, stallMs, archive });
    const options = {
      ...{ server, systemIdentifier, tools, env: this.#env, applicationName, lockTimeoutMs, countRows, signal },
      ...{ compression, members, stallMs },
      onBytes: (bytes: number) => {
        this.#count(database.name, bytes);
      },
    };
    try {
      this.#report('content', database.name);
      const dumped =
        this.#scratch === undefined
          ? await dumpCustom(database, options)
          : await dumpDirectory(database, { ...options, jobs, onDumped, scratch: this.#scratch.path });
      const [part] = members.parts;
      if (part === undefined) throw new TypeError('a database was dumped, and there is no part of it');
      const stored = await sink.finish().catch((error: unknown) => {
        throw new SinkFailure(error);
      });
      const record: DatabaseRecord = { ...database, ...dumped.record, status: 'dumped', reason: null };
      return {
        record,
        warnings: dumped.warnings,
        archive: { object: { suffix, stored }, part: { ...part, object: suffix } },
      };
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof SinkFailure) throw error.error;
      if (members.broken !== undefined) throw members.broken.error;
      if (error instanceof HoldfastError && error.type === 'ToolMissing') throw error;
      const record = await recordOfFailure(database, error, { server, systemIdentifier, applicationName, signal });
      this.#count(database.name, 0);
      return { record, warnings: [] };
    }
  }

  async #writeGlobals(globals: Uint8Array, records: readonly DatabaseRecord[]) {
    const { compressor, signal, open } = this.#request;
    const suffix = globalsSuffix(compressor.compression);
    const sink = await open(suffix, globals.length);
    try {
      const members = new Members({ sink, compressor, signal, stallMs: this.#stallMs });
      const warnings = await writeGlobalsObject(members, globals, records, this.#look.server.versionNum);
      const stored = await sink.finish();
      const parts = members.parts.map((part): ArchivePart => ({ ...part, object: suffix }));
      return { parts, warnings, object: { suffix, stored } };
    } catch (error) {
      await sink.abort();
      throw error;
    }
  }

  /** A tar that follows a directory begins again at nothing: the larger of both counts. */
  #count(database: string, bytes: number): void {
    const before = this.#bytes.get(database) ?? 0;
    const now = bytes === 0 ? 0 : Math.max(before, bytes);
    this.#bytes.set(database, now);
    this.#allBytes += now - before;
    this.#report('content', database);
  }

  #report(phase: DumpProgress['phase'], database: string | null): void {
    this.#request.onProgress?.({
      ...{ phase, database, bytes: this.#allBytes },
      ...{ databasesDone: this.#done, databasesTotal: this.#total },
    });
  }
}

/** The sink could not be finished: no database's fault. */
class SinkFailure extends Error {
  readonly error: unknown;

  constructor(error: unknown) {
    super('the sink could not be finished');
    this.error = error;
  }
}
