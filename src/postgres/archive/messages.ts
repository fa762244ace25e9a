import { listedAtMost, type Finding } from '../../domain/restore-report.ts';
import { classify, plainMessage } from '../restore/classify.ts';
import type { PsqlError } from '../restore/psql-messages.ts';

/** pg_restore tells no SQLSTATE: what the messages of the server (in English wherever we may choose) stand for. */
const states: readonly (readonly [message: RegExp, sqlState: string])[] = [
  [/unrecognized configuration parameter/, '42704'],
  [/^(role|tablespace|collation|type|language|access method) ".*" does not exist/, '42704'],
  [/^extension ".*" (is not available|has no installation script)/, '0A000'],
  [/could not open extension control file|could not access file/, '58P01'],
  [/collation .* for encoding|could not create locale|invalid locale name|ICU/, '22023'],
  [/already exists/, '42710'],
  [/^(permission denied|must be (owner|superuser|able))|^only superuser/, '42501'],
  [/^syntax error/, '42601'],
  [/does not exist/, '42883'],
  [/No space left on device|could not extend file/, '53100'],
  [/out of (shared )?memory/, '53200'],
  [/too many (clients|connections)|connection slots/, '53300'],
  [/canceling statement/, '57014'],
  [/lock timeout/, '55P03'],
  [
    /terminating connection|the database system is|server closed the connection|connection to server|no connection to/,
    '57P01',
  ],
  [/read-only/, '25006'],
  [/violates|duplicate key|could not create unique index/, '23000'],
  [
    /invalid input|invalid byte sequence|out of range|value too long|missing data|extra data|invalid memory alloc/,
    '22000',
  ],
];

const guessState = (message: string) => states.find(([pattern]) => pattern.test(message))?.[1] ?? 'P0000';

const said =
  /^pg_restore: (?:error: )?(?:(?:\[[a-z ()]+\] )?(?:could not execute query|COPY failed for table ".*"|error returned by PQputCopy\w+|.* failed)): (?:ERROR|FATAL|PANIC): {1,2}(.*)$/;
const own = /^pg_restore: (?:error|fatal): (.*)$/;
const note = /^pg_restore: (WARNING|NOTICE|INFO): {1,2}(.*)$/;
const warning = /^pg_restore: warning: (.*)$/;
const detail = /^DETAIL: {2}(.*)$/;
/** What follows the failure of one of the parallel processes, which has told its cause before. */
const echo = /worker process (died|failed)|parallel worker/;

/**
 * Reads pg_restore's stderr line by line. Keeps the first error and the first notes: it runs with --exit-on-error, so
 * whatever follows the first error is its consequence.
 */
export class RestoreMessages {
  #error: PsqlError | undefined;
  #own: string | undefined;
  #notes: Finding[] = [];
  #noteCount = 0;
  #expectsDetail = false;

  push(line: string): void {
    const message = said.exec(line)?.[1];
    if (message !== undefined) {
      if (this.#error === undefined) {
        const sqlState = guessState(message);
        const verdict = classify({ sqlState, message });
        this.#error = { verdict, finding: { ...findingOf(message), kind: verdict.kind, weight: 'error' } };
        this.#expectsDetail = true;
      }
      return;
    }
    const more = detail.exec(line)?.[1];
    if (more !== undefined && this.#expectsDetail && this.#error !== undefined) {
      const { finding, verdict } = this.#error;
      this.#error = { verdict, finding: { ...finding, message: plainMessage(`${finding.message}: ${more}`) } };
    }
    this.#expectsDetail = false;
    const ownWords = own.exec(line)?.[1];
    if (ownWords !== undefined && !echo.test(ownWords)) this.#own ??= ownWords;
    const noted = note.exec(line)?.[2] ?? warning.exec(line)?.[1];
    if (noted !== undefined) {
      this.#noteCount += 1;
      if (this.#notes.length < listedAtMost) this.#notes.push(findingOf(noted));
    }
  }

  /** What the server refused; undefined: nothing so far. */
  get error(): PsqlError | undefined {
    return this.#error;
  }

  /** The first error of pg_restore itself. */
  get own(): string | undefined {
    return this.#own;
  }

  get notes(): { readonly count: number; readonly first: readonly Finding[] } {
    return { count: this.#noteCount, first: this.#notes };
  }
}

const findingOf = (message: string): Finding => ({
  kind: 'harmless',
  weight: 'note',
  line: null,
  sqlState: null,
  message: plainMessage(message),
});

/** What pg_restore's own error says of the archive. Pure. */
export function judgeArchive(message: string): 'damaged' | 'too new' | 'connection' | undefined {
  if (message.includes('unsupported version (')) return 'too new';
  if (/connection to (server|database)|could not connect|server closed/.test(message)) return 'connection';
  return damage.test(message) ? 'damaged' : undefined;
}

const damage =
  /end of file|magic string|magic code|unexpected block ID|block ID \d+ in archive|(un|de)compress|corrupt|valid archive|does not appear|too short|unexpected (data|section|end)|unrecognized (data block|file format|archive)|perhaps a corrupt|no matching|could not (open|read|find|close) .*(input file|data file|file ".*\.dat|toc|TOC|blob|large object)|checksum|not find (file|entry)|sanity check|expected format|invalid (compression|archive|entry|dump)/i;
