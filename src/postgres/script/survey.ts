import type { DumpSurvey, SurveyedPart } from '../../domain/dump-survey.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { PartDigests } from './part-digests.ts';
import { Scanner } from './scan.ts';
import { SurveyScript } from './survey-script.ts';

export interface SurveyOptions {
  readonly signal: AbortSignal;
  /** Plain bytes so far, after every chunk. */
  readonly onProgress?: (bytes: number) => void;
  /** False: no table's rows are counted. */
  readonly countRows: boolean;
  /** What a database is called of which the dump doesn't tell the name; 'unnamed'. */
  readonly unnamed?: string;
}

/** A database's dump may begin with a comment line that was read before it was known for one. */
const margin = 64;

/**
 * Reads a plain dump of pg_dump or pg_dumpall (9.6 to 18) once, and says what is in it: databases with the ranges of
 * their contents and the digests of these, properties, tables and rows, roles, whether it ends as a whole dump does,
 * and everything that a dump doesn't hold usually. Changes nothing and executes nothing; memory is that of the longest
 * statement.
 *
 * What can't be read as SQL (a NUL byte, a statement longer than 256 MiB) is a finding, and the rest is only digested.
 * Fails with the error of `plain`, or the signal's reason.
 */
export async function surveyDump(plain: AsyncIterable<Uint8Array>, options: SurveyOptions): Promise<DumpSurvey> {
  const digests = new PartDigests();
  const script = new SurveyScript((standardStrings) => {
    scanner.standardStrings = standardStrings;
  });
  const scanner: Scanner = new Scanner(script);
  const labels: Label[] = [{ name: 'globals' }];
  let unread: string | null = null;
  for await (const chunk of plain) {
    options.signal.throwIfAborted();
    digests.update(chunk);
    unread ??= readable(script, () => {
      scanner.push(chunk);
    });
    cutParts(script, digests, labels);
    digests.settle(unread === null ? Math.max(0, script.position - margin) : digests.length);
    options.onProgress?.(digests.length);
  }
  options.signal.throwIfAborted();
  let unfinished = unread;
  if (unread === null) {
    unread = readable(script, () => {
      unfinished = scanner.end();
    });
    cutParts(script, digests, labels);
  }
  const whole = digests.end();
  const told = script.told(unread ?? unfinished, options.unnamed ?? 'unnamed');
  const parts = digests.parts.flatMap((part, at): SurveyedPart[] => {
    const label = labels[at];
    if (label === undefined) return [];
    const section = label.section === undefined ? undefined : script.sections.list[label.section];
    const database = section === undefined ? undefined : (section.name ?? options.unnamed ?? 'unnamed');
    return [{ name: label.name, ...(database === undefined ? {} : { database }), ...part }];
  });
  const databases = options.countRows
    ? told.databases
    : told.databases.map((database) => ({
        ...database,
        tables: database.tables.map(([schema, name]): [string, string, null] => [schema, name, null]),
      }));
  return { format: 'plain', ...told, databases, plain: whole, parts };
}

interface Label {
  readonly name: SurveyedPart['name'];
  /** Its place in the list of sections. */
  readonly section?: number;
}

/** Ends parts where sections were found to begin. */
function cutParts({ sections }: SurveyScript, digests: PartDigests, labels: Label[]): void {
  const known = labels.filter(({ section }) => section !== undefined).length;
  for (let section = known; section < sections.list.length; section += 1) {
    const offset = sections.list[section]?.offset ?? 0;
    // A dump of one database has no globals.
    if (offset === 0) labels.pop();
    else digests.cut(offset);
    labels.push({ name: 'content', section });
  }
  if (sections.footer === null || labels.at(-1)?.name === 'footer') return;
  digests.cut(sections.footer);
  labels.push({ name: 'footer' });
}

/** Null, or why the dump can't be read any further. */
function readable(script: SurveyScript, read: () => void): string | null {
  try {
    read();
    return null;
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'DumpRefused') throw error;
    script.refuse(
      error.message.replace(/^the dump can't be read beyond line \d+: /, 'something unreadable: '),
      Number(/line (\d+)/.exec(error.message)?.[1] ?? 0),
    );
    return error.message;
  }
}
