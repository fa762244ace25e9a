import { randomBytes } from 'node:crypto';
import { HoldfastError, messageOf, type ErrorType } from '../../domain/errors.ts';
import { describeFinding, type Finding } from '../../domain/restore-report.ts';
import { startChain, ToolFailure, type Chain, type Command } from '../../process/chain.ts';
import { member, type Compressor } from '../../streams/compress.ts';
import { pour, sinkOf } from '../../streams/pour.ts';
import { withSession, withToolEnvironment, type Server } from '../connection.ts';
import { judgeArchive } from '../archive/messages.ts';
import type { Tools } from '../tools.ts';
import { assertReadable, majorOf } from './dump-version.ts';
import { endBackends } from './leftovers.ts';
import { PsqlMessages, type PsqlError } from './psql-messages.ts';
import { fence, fenceText, guardName, oneTransaction, sentinel, Tail, type Sentinel } from './sentinel.ts';
import { loadOptions, readLoadingServer } from './session-options.ts';

export interface LoadInput {
  readonly server: Server;
  readonly tools: Tools;
  /** Where the contents go. It has nothing yet of what they hold. */
  readonly database: string;
  /** The database's; another one of that name, made by somebody else meanwhile, is not loaded into. */
  readonly oid?: number;
  /**
   * The member's stored bytes. Whoever hands them in vouches for them by ending well: an iteration that fails, also at
   * its very end (a digest that differs), fails the load.
   */
  readonly stored: AsyncIterable<Uint8Array>;
  /** undefined: stored as plain text. */
  readonly compressor: Compressor | undefined;
  /**
   * Where the stored bytes are an archive: pg_restore as a filter that makes SQL of it (`archiveScript`). They come
   * unpacked then (`compressor` is undefined), and what is left of them is read to their end before anything is
   * committed in one transaction.
   */
  readonly convert?: Command;
  /** Of the pg_dump that wrote them, such as "17.6". */
  readonly dumpVersion: string;
  /**
   * Everything in one transaction, and this statement last in it: after a failure of any kind the database is as it was
   * before. For contents without large objects, which bring transactions of their own and are refused, and with not
   * too many tables: each is a lock.
   */
  readonly inOneTransaction?: string;
  readonly signal: AbortSignal;
  /** Stored bytes so far, after every chunk. */
  readonly onProgress?: (storedBytes: number) => void;
}

export interface LoadReport {
  readonly storedBytes: number;
  /** Warnings and the like: the first fifty. */
  readonly notes: readonly Finding[];
  readonly noteCount: number;
}

/** A load that failed because of what PostgreSQL or psql said; `finding` has the line. */
class LoadFailure extends HoldfastError {
  readonly finding: Finding;

  constructor(type: ErrorType, message: string, hint: string, finding: Finding) {
    super(type, message, hint);
    this.finding = finding;
  }
}

/**
 * Loads a content member (what `pg_dump` prints, without --create) into a database by psql. Resolves only when psql has
 * executed all of it, every tool in between has ended well, and the commits are on disk.
 *
 * psql stops at the first error of its own accord. It must: after a COPY that the server refuses psql would take the
 * rows of the table for SQL and run what users once wrote into them. So missing roles, extensions and the like are to
 * be found before (`preflight`); what a server is known to refuse harmlessly is taken out beforehand.
 *
 * Rejects, when no process and no session of it is left, with a LoadFailure (RestoreFailed, or PostgresUnavailable
 * where the server went away or lacked room), with PlanChanged (another OID), ObjectDamaged (it can't be decompressed,
 * or isn't whole), with the error of `stored`, ToolFailed, ToolMissing, ToolTooOld, or the signal's reason. The
 * database then holds a part and is of no use.
 */
export async function load(input: LoadInput): Promise<LoadReport> {
  const { server, database, dumpVersion, signal } = input;
  assertReadable(input.tools, dumpVersion);
  const nonce = randomBytes(8).toString('hex');
  const applicationName = `holdfast load ${nonce}`;
  const loading = await withSession(server, { database, applicationName, signal }, readLoadingServer);
  const messages = new PsqlMessages();
  return withToolEnvironment(server, { database, applicationName }, async (env) => {
    const psql = psqlCommand(input, { ...env, PGOPTIONS: loadOptions(loading) }, messages);
    // A script that is made of an archive is in the words of the pg_restore that makes it.
    const writtenBy = input.convert === undefined ? dumpVersion : input.tools.version;
    const filter = majorOf(writtenBy) >= 17 && loading.versionNum < 170_000 ? [withoutTransactionTimeout] : [];
    const decompress = input.compressor === undefined ? [] : [input.compressor.decompress];
    const end = sentinel(nonce, input.inOneTransaction);
    const convert = input.convert === undefined ? [] : [endingWith(end, input.convert)];
    try {
      const storedBytes = await run(input, [...decompress, ...convert, ...filter, psql], end, messages);
      return { storedBytes, notes: messages.notes.first, noteCount: messages.notes.count };
    } catch (error) {
      const left = await endBackends(server, applicationName);
      throw explain(error, input, messages.error, left);
    }
  });
}

function psqlCommand(
  { tools, server, oid, inOneTransaction }: LoadInput,
  env: Readonly<Record<string, string>>,
  messages: PsqlMessages,
): Command {
  const variables = ['-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose'];
  const check = oid === undefined ? [] : ['-c', fence(oid)];
  const begin = inOneTransaction === undefined ? [] : oneTransaction.flatMap((statement) => ['-c', statement]);
  return {
    file: tools.psql,
    args: ['-X', '-q', '-A', '-t', '--no-password', ...variables, ...check, ...begin, '-f', '-'],
    env,
    ...(server.password === undefined ? {} : { secrets: [server.password] }),
    onStderrLine: (line) => {
      messages.push(line);
    },
  };
}

/**
 * Comments `SET transaction_timeout` out, which pg_dump 17 and newer print and older servers refuse. Looks at the
 * first lines only, reading byte by byte so as not to take more than them; the rest flows through cat.
 */
const withoutTransactionTimeout: Command = {
  name: 'sed',
  file: 'sh',
  args: [
    '-c',
    `sed -u -e 's/^SET transaction_timeout = 0;$/-- &/' -e '/^SET row_security = off;$/q' -e 200q && exec cat`,
  ],
};

/**
 * The end can't be put behind an archive, so it is put behind what was made of it: only where that went well, and only
 * once the stored bytes have ended, by which they are vouched for.
 */
const endingWith = ({ sql }: Sentinel, convert: Command): Command => ({
  ...convert,
  name: convert.name ?? 'pg_restore',
  file: 'sh',
  args: ['-c', '"$@" && cat > /dev/null && printf %s "$HOLDFAST_END"', 'sh', convert.file, ...convert.args],
  env: { ...convert.env, HOLDFAST_END: sql },
});

/** The stored bytes failed: that is the cause, whatever the tools then say. */
class SourceFailure extends Error {
  readonly error: unknown;

  constructor(error: unknown) {
    super(messageOf(error));
    this.error = error;
  }
}

/** Every tool ended well, and the sentinel did not come out. */
class Unfinished extends Error {}

async function run(
  input: LoadInput,
  commands: readonly Command[],
  end: Sentinel,
  messages: PsqlMessages,
): Promise<number> {
  const { signal } = input;
  // Made first: once the stored bytes are through there must be nothing left that can fail but the writing.
  const closing = await closingOf(input, end);
  const chain = startChain(commands, { stdin: 'pipe', stdout: 'pipe', signal });
  const tail = new Tail();
  const read = (async () => {
    for await (const chunk of chain.stdout as AsyncIterable<Uint8Array>) tail.push(chunk);
  })();
  try {
    const [fed, heard] = await Promise.allSettled([feed(chain, input, closing), read]);
    // The chain fails too where the stored bytes do; those are the cause.
    if (fed.status === 'rejected') throw fed.reason;
    if (heard.status === 'rejected') throw heard.reason;
    await chain.finished;
    if (!tail.endsWith(end.word) || messages.error !== undefined) throw new Unfinished();
    return fed.value;
  } finally {
    await chain.kill();
  }
}

async function closingOf({ convert, compressor, signal }: LoadInput, { sql }: Sentinel): Promise<Uint8Array> {
  if (convert === undefined) return compressor === undefined ? Buffer.from(sql) : member(compressor, sql, signal);
  if (compressor !== undefined) throw new TypeError('an archive is to be unpacked before it is loaded');
  return new Uint8Array();
}

async function feed(chain: Chain, { stored, signal, onProgress }: LoadInput, closing: Uint8Array): Promise<number> {
  const { stdin } = chain;
  if (stdin === undefined) throw new TypeError('a chain with a piped stdin has none');
  const sink = sinkOf(stdin);
  const over = new AbortController();
  // A tool that has gone needs no more bytes, however long these may be in coming.
  chain.finished.catch((error: unknown) => {
    over.abort(error);
  });
  try {
    const bytes = await pour(marked(stored), sink, {
      signal: AbortSignal.any([signal, over.signal]),
      from: 'the repository',
      to: 'psql',
      ...(onProgress === undefined ? {} : { onProgress }),
    });
    await sink.write(closing);
    await sink.end();
    return bytes;
  } catch (error) {
    // No end of file: psql must not take a part for the whole.
    await chain.kill();
    throw error;
  }
}

async function* marked(stored: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const iterator = stored[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await iterator.next().catch((error: unknown) => {
        throw new SourceFailure(error);
      });
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    await iterator.return?.();
  }
}

/** Whose fault it was: the caller's wish, the stored bytes, what PostgreSQL said, a tool. */
function explain(error: unknown, input: LoadInput, said: PsqlError | undefined, left: string | null): unknown {
  const { signal, compressor, inOneTransaction, tools } = input;
  if (signal.aborted) return signal.reason;
  const state =
    inOneTransaction === undefined ? 'the database holds a part and is of no use' : 'nothing of it was kept';
  const what = `contents for database '${input.database}'`;
  const suffix = `; ${state}${left === null ? '' : `; ${left}`}`;
  if (error instanceof SourceFailure) {
    const { error: cause } = error;
    if (cause instanceof HoldfastError)
      return new HoldfastError(cause.type, `${cause.message}${suffix}`, cause.hint, { cause });
    return new HoldfastError(
      'Unexpected',
      `reading the ${what} failed: ${messageOf(cause)}${suffix}`,
      'see the cause',
      { cause },
    );
  }
  if (error instanceof ToolFailure && error.exit.file === compressor?.decompress.file) {
    if (error.exit.signal === null) return damaged(`the ${what} can't be decompressed: ${error.message}${suffix}`);
    return new HoldfastError(error.type, `${error.message}${suffix}`, error.hint);
  }
  if (error instanceof ToolFailure && input.convert !== undefined && error.exit.file === 'sh') {
    const own = /^pg_restore: (?:error|fatal): (.*)$/m.exec(error.exit.stderr)?.[1];
    if (own !== undefined) return archiveFailure(own, what, suffix);
  }
  if (said !== undefined) return failureOf(said, what, suffix);
  if (error instanceof Unfinished)
    return damaged(`the ${what} end in the middle of a statement or of a table's rows${suffix}`);
  if (!(error instanceof HoldfastError)) return error;
  if (error instanceof ToolFailure && error.exit.file === tools.psql && error.exit.signal === null) {
    return new HoldfastError('RestoreFailed', `${error.message}${suffix}`, error.hint);
  }
  return new HoldfastError(error.type, `${error.message}${suffix}`, error.hint);
}

/** What PostgreSQL said, as the load's failure. */
export function failureOf({ finding, verdict }: PsqlError, what: string, suffix: string): LoadFailure {
  if (finding.message.includes(fenceText)) {
    return new LoadFailure(
      'PlanChanged',
      `the ${what} were not loaded: ${fenceText}`,
      'another attempt is at work',
      finding,
    );
  }
  if (finding.message.includes(guardName)) {
    return new LoadFailure(
      'RestoreFailed',
      `the ${what} hold large objects, which can't be restored in one transaction${suffix}`,
      'restore this database alone, under another name',
      finding,
    );
  }
  const mayPass = verdict.weight === 'fatal' && (verdict.kind === 'connection' || verdict.kind === 'resources');
  const type: ErrorType =
    verdict.kind === 'tool too old' ? 'ToolTooOld' : mayPass ? 'PostgresUnavailable' : 'RestoreFailed';
  return new LoadFailure(type, `the ${what} failed: ${describeFinding(finding)}${suffix}`, verdict.hint, finding);
}

/** What pg_restore itself said, as the load's failure. */
export function archiveFailure(own: string, what: string, suffix: string): HoldfastError {
  switch (judgeArchive(own)) {
    case 'damaged':
      return damaged(`the ${what} can't be read: ${own}${suffix}`);
    case 'too new':
      return new HoldfastError(
        'ToolTooOld',
        `the ${what} can't be read: ${own}${suffix}`,
        'install newer client tools of PostgreSQL on the worker',
      );
    case 'connection':
      return new HoldfastError(
        'PostgresUnavailable',
        `the ${what} failed: ${own}${suffix}`,
        'see the log of the server',
      );
    case undefined:
      return new HoldfastError('RestoreFailed', `the ${what} failed: ${own}${suffix}`, 'correct what pg_restore names');
  }
}

const damaged = (message: string) =>
  new HoldfastError('ObjectDamaged', message, 'verify the backup, and restore from another one');
