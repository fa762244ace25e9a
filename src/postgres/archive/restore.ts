import { randomBytes } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Selection } from '../../domain/dump-survey.ts';
import { HoldfastError, messageOf } from '../../domain/errors.ts';
import { capture, startChain, ToolFailure, type Command } from '../../process/chain.ts';
import { withSession, withToolEnvironment, type Server, type Session } from '../connection.ts';
import { conninfoOf } from '../quote.ts';
import { endBackends } from '../restore/leftovers.ts';
import { archiveFailure, failureOf, load, type LoadReport } from '../restore/load.ts';
import { loadOptions, readLoadingServer, type LoadingServer } from '../restore/session-options.ts';
import type { Tools } from '../tools.ts';
import { chooseEntries, parseList, renderList, withPartitions } from './list.ts';
import { RestoreMessages } from './messages.ts';
import { archiveScript, assertReadsArchive, localSource, needsScript, withList, type LocalSource } from './script.ts';
import { assertSame, makeDurable, ownOid, watchDatabase } from './watch.ts';

export { archiveToolsVersionNum } from './script.ts';

export interface ArchiveLoadInput {
  readonly server: Server;
  /** Not older than the pg_dump that wrote the archive, nor than the server: see archiveToolsVersionNum. */
  readonly tools: Tools;
  /** Where the contents go. It has nothing yet of what they hold. */
  readonly database: string;
  /** The database's; another one of that name, made by somebody else meanwhile, is not loaded into. */
  readonly oid?: number;
  /**
   * A file in custom or tar format, or the directory of the directory format. Checked before: what it holds is executed.
   */
  readonly source: string;
  /** Of the pg_dump that wrote it, such as "17.6". */
  readonly dumpVersion: string;
  /** Processes that load at once. A tar is loaded by one, and so is what goes in as a script. */
  readonly jobs: number;
  /** All definitions, without what ties tables together, and the rows of these only. */
  readonly selection?: Selection;
  /** As in `load`: everything in one transaction, and this statement last in it. By one process. */
  readonly inOneTransaction?: string;
  /** What the database took when it was dumped; progress is estimated by it. */
  readonly databaseBytes?: number;
  readonly signal: AbortSignal;
  /** Of the archive's bytes, now and then; an estimate, but never less than before. */
  readonly onProgress?: (bytes: number) => void;
}

/**
 * Loads an archive into a database by pg_restore, several tables and indexes at once. Resolves only when pg_restore has
 * ended well, the database is still the one that was meant, and the commits are on disk.
 *
 * Where all is to be one transaction, or pg_restore is newer than the server, it goes in as a script by psql instead.
 *
 * Rejects, when no process and no session of it is left, as `load` does: RestoreFailed, PostgresUnavailable, PlanChanged
 * (another OID), ObjectDamaged (cut off or damaged), ToolFailed, ToolMissing, ToolTooOld, or the signal's reason. The
 * database then holds a part and is of no use.
 */
export async function loadArchive(input: ArchiveLoadInput): Promise<LoadReport> {
  const { server, tools, database, signal } = input;
  assertReadsArchive(tools, input.dumpVersion);
  const applicationName = `holdfast load ${randomBytes(8).toString('hex')}`;
  const source = await localSource(input.source);
  const bytes = await bytesOf(source);
  const list = input.selection === undefined ? undefined : await chosen(input, source, input.selection);
  return withSession(server, { database, applicationName, signal }, async (session) => {
    const oid = input.oid ?? (await ownOid(session));
    await assertSame(session, { database, oid });
    const loading = await readLoadingServer(session);
    if (input.inOneTransaction !== undefined || needsScript(tools, loading.versionNum)) {
      await session.close();
      return { ...(await loadScript({ ...input, oid }, source, list)), storedBytes: bytes };
    }
    return withToolEnvironment(server, { database, applicationName }, (env) =>
      new DirectLoad({ ...input, oid }, source, { applicationName, bytes }).run(session, loading, env, list),
    );
  });
}

/** By psql, which is told by a sentinel that it has got to the end. */
function loadScript(input: ArchiveLoadInput, source: LocalSource, list: string | undefined): Promise<LoadReport> {
  const { tools, server, database, oid, dumpVersion, inOneTransaction, signal, onProgress } = input;
  const streams = list === undefined && source.format === 'custom';
  const convert = archiveScript(tools, streams ? {} : { source, listed: list !== undefined });
  return load({
    ...{ server, tools, database, dumpVersion, convert, compressor: undefined, signal },
    ...(oid === undefined ? {} : { oid }),
    ...(inOneTransaction === undefined ? {} : { inOneTransaction }),
    ...(onProgress === undefined ? {} : { onProgress }),
    stored: streams ? createReadStream(source.path, { highWaterMark: 262_144 }) : once(list ?? ''),
  });
}

// eslint-disable-next-line @typescript-eslint/require-await -- as a stream it has to be asynchronous
async function* once(text: string): AsyncGenerator<Uint8Array> {
  if (text !== '') yield Buffer.from(text);
}

/** One run of pg_restore against the server. */
class DirectLoad {
  readonly #input: ArchiveLoadInput & { readonly oid: number };
  readonly #source: LocalSource;
  readonly #applicationName: string;
  readonly #bytes: number;
  readonly #messages = new RestoreMessages();
  #progress = 0;

  constructor(
    input: ArchiveLoadInput & { readonly oid: number },
    source: LocalSource,
    { applicationName, bytes }: { readonly applicationName: string; readonly bytes: number },
  ) {
    this.#input = input;
    this.#source = source;
    this.#applicationName = applicationName;
    this.#bytes = bytes;
  }

  async run(
    session: Session,
    loading: LoadingServer,
    env: Readonly<Record<string, string>>,
    list: string | undefined,
  ): Promise<LoadReport> {
    const { database, oid, signal, server } = this.#input;
    const command = this.#command({ ...env, PGOPTIONS: loadOptions(loading) }, list !== undefined);
    const chain = startChain([command], { stdin: list === undefined ? 'ignore' : 'pipe', stdout: 'ignore', signal });
    chain.stdin?.end(list);
    const over = new AbortController();
    const onSize = (size: number) => {
      this.#report(size);
    };
    const watched = watchDatabase(session, { database, oid, over: over.signal, onSize });
    watched.catch(() => undefined);
    try {
      await Promise.race([chain.finished, watched.then(() => chain.finished)]);
      over.abort();
      await watched;
      const { error } = this.#messages;
      if (error !== undefined) throw failureOf(error, this.#what(), '');
      await assertSame(session, { database, oid });
      await makeDurable(session);
      this.#input.onProgress?.(this.#bytes);
      const { first, count } = this.#messages.notes;
      return { storedBytes: this.#bytes, notes: first, noteCount: count };
    } catch (error) {
      over.abort();
      await chain.kill();
      const left = await endBackends(server, this.#applicationName);
      throw await this.#explain(error, watched, left);
    }
  }

  #command(env: Readonly<Record<string, string>>, listed: boolean): Command {
    const { tools, server, database, jobs } = this.#input;
    const { path, format } = this.#source;
    const command: Command = {
      file: tools.pgRestore,
      args: [
        // A plain name would be read as connection parameters where it holds an equals sign.
        `--dbname=${conninfoOf(database)}`,
        ...['--exit-on-error', '--no-password'],
        ...(format === 'tar' ? [] : [`--jobs=${String(jobs)}`]),
        path,
      ],
      env,
      ...(server.password === undefined ? {} : { secrets: [server.password] }),
      onStderrLine: (line) => {
        this.#messages.push(line);
      },
    };
    return listed ? withList(command) : command;
  }

  #report(size: number): void {
    const { databaseBytes, onProgress } = this.#input;
    const share = databaseBytes === undefined || databaseBytes === 0 ? 0 : Math.min(1, size / databaseBytes);
    this.#progress = Math.max(this.#progress, Math.floor(share * this.#bytes));
    onProgress?.(this.#progress);
  }

  #what(): string {
    return `contents for database '${this.#input.database}'`;
  }

  /** Whose fault it was: the caller's wish, another database of that name, what PostgreSQL or pg_restore said. */
  async #explain(error: unknown, watched: Promise<void>, left: string | null): Promise<unknown> {
    const { signal, tools } = this.#input;
    if (signal.aborted) return signal.reason;
    const suffix = `; the database holds a part and is of no use${left === null ? '' : `; ${left}`}`;
    const seen = await watched.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (seen instanceof HoldfastError && seen.type === 'PlanChanged') return seen;
    const { error: said, own } = this.#messages;
    if (said !== undefined) return failureOf(said, this.#what(), suffix);
    if (error instanceof ToolFailure && error.exit.signal === null) {
      if (own !== undefined) return archiveFailure(own, this.#what(), suffix);
      return new HoldfastError('RestoreFailed', `${error.message}${suffix}`, error.hint);
    }
    if (error instanceof HoldfastError) return new HoldfastError(error.type, `${error.message}${suffix}`, error.hint);
    return new HoldfastError('Unexpected', `${tools.pgRestore}: ${messageOf(error)}${suffix}`, 'see the cause', {
      cause: error,
    });
  }
}

/** The list for pg_restore -L. Reads the archive's table of contents, and its definitions for the partitions. */
async function chosen({ tools, signal }: ArchiveLoadInput, source: LocalSource, selection: Selection): Promise<string> {
  const definitions = await ask(archiveScript(tools, { source, only: 'pre-data' }), source, signal);
  const list = await ask({ file: tools.pgRestore, args: ['--list', source.path] }, source, signal);
  return renderList(chooseEntries(parseList(list), withPartitions(selection, definitions)));
}

/** Definitions and tables of contents: of a hundred thousand tables a few hundred megabytes. */
const maxBytes = 1024 ** 3;

/** What pg_restore tells of an archive; ObjectDamaged and the like where it can't read it. */
async function ask(command: Command, source: LocalSource, signal: AbortSignal): Promise<string> {
  try {
    return (await capture(command, { signal, maxBytes })).stdout;
  } catch (error) {
    const own =
      error instanceof ToolFailure ? /^pg_restore: (?:error|fatal): (.*)$/m.exec(error.exit.stderr)?.[1] : undefined;
    throw own === undefined ? error : archiveFailure(own, `archive ${source.path}`, '');
  }
}

async function bytesOf({ path, format }: LocalSource): Promise<number> {
  if (format !== 'directory') return (await stat(path)).size;
  let bytes = 0;
  for (const name of await readdir(path)) bytes += (await stat(join(path, name))).size;
  return bytes;
}
