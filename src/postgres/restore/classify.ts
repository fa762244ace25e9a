import type { Finding, FindingKind } from '../../domain/restore-report.ts';

/** What the server or psql said. */
export interface Said {
  /** null: psql itself said it. */
  readonly sqlState: string | null;
  /** The primary message; in English wherever the user may choose the server's language. */
  readonly message: string;
}

export interface Verdict {
  readonly kind: FindingKind;
  /**
   * - `note`: the restored database is what it should be all the same
   * - `error`: this statement failed; what follows may still work
   * - `fatal`: nothing that follows can work
   */
  readonly weight: Finding['weight'] | 'fatal';
  /** What to do next. */
  readonly hint: string;
}

/** Decides by SQLSTATE first and by the text only where one code stands for several things. Pure. */
export function classify(said: Said): Verdict {
  const { sqlState, message } = said;
  if (sqlState === null) return bySqlText(message);
  if (isHarmless(sqlState, message)) return { kind: 'harmless', weight: 'note', hint: 'nothing needs to be done' };
  const kind = kindOf(sqlState, message);
  return {
    kind,
    weight: isFatal(sqlState) ? 'fatal' : kind === 'unknown setting' ? 'note' : 'error',
    hint: hints[kind],
  };
}

/** Whether the message is a warning or less: the class says so in every language. */
export const isWarning = (sqlState: string) => ['00', '01', '02'].includes(sqlState.slice(0, 2));

const hints: Readonly<Record<FindingKind, string>> = {
  'already exists': 'restore into a database that has nothing of that name',
  connection: 'see the log of the server, and start the restore again',
  data: 'the data does not fit the table: see the text above, and look whether the backup passes its verification',
  harmless: 'nothing needs to be done',
  'missing extension': 'install the extension on the server of the target, in this version if it matters',
  'missing locale': "install the locale on the server of the target, or choose a server that has the backup's",
  'missing object': 'something that the backup relies on is not there: see the text above',
  'missing role': 'create the role at the target, or let the restore create the roles that are missing',
  'missing tablespace': 'create a tablespace of that name at the target; it may lie in any directory',
  permission: 'restore as a superuser',
  resources: 'free disk space, memory or connections at the target, and start the restore again',
  syntax:
    'the target does not understand this statement: restore onto the major version the backup was taken from, or a newer one',
  'tool too old': 'update psql on the worker to the newest minor version',
  'unknown setting': 'the setting is not known to this version: it was left out',
  unsupported: 'the target can not do this: restore onto the major version the backup was taken from, or a newer one',
  other: "PostgreSQL's own text says what is wrong; look into the log of the server around that time",
};

function bySqlText(message: string): Verdict {
  const kind: FindingKind = message.includes('invalid command \\')
    ? 'tool too old'
    : /connection|server|FATAL/i.test(message)
      ? 'connection'
      : /out of memory/i.test(message)
        ? 'resources'
        : 'other';
  return { kind, weight: 'fatal', hint: hints[kind] };
}

const isHarmless = (sqlState: string, message: string) =>
  isWarning(sqlState) ||
  // pg_dump 17 and newer set it at the beginning; a server before 17 has no such limit to switch off.
  (sqlState === '42704' && message.includes('"transaction_timeout"')) ||
  // The comment is there already: the extension brought it.
  (sqlState === '42501' && message.includes('must be owner of extension plpgsql'));

const patterns: readonly (readonly [sqlState: RegExp, message: RegExp, kind: FindingKind])[] = [
  [/^42704$/, /unrecognized configuration parameter/, 'unknown setting'],
  [/^42704$/, /^role "/, 'missing role'],
  [/^42704$/, /^tablespace "/, 'missing tablespace'],
  [/^22023$/, /"default_tablespace"/, 'missing tablespace'],
  [/^42704$/, /^(collation|locale) "/, 'missing locale'],
  [/^(42704|0A000|22023)$/, /^extension "/, 'missing extension'],
  [/^58P01$/, /\$libdir|extension control file|could not access file/, 'missing extension'],
  [/^58P01$/, /^directory "/, 'missing tablespace'],
  [/^(22023|42809|0A000)$/, /locale|collation|ICU|encoding "/, 'missing locale'],
  [/^(42710|42712|42723|42P0[3-7])$/, /./, 'already exists'],
  [/^42501$/, /./, 'permission'],
  [/^(42601|42P10|42P13)$/, /./, 'syntax'],
  [/^0A/, /./, 'unsupported'],
  [/^(42704|42883|42P01|42703|3F000|3D000)$/, /./, 'missing object'],
  [/^(22|23)/, /./, 'data'],
  [/^(53|54)/, /./, 'resources'],
  [/^(08|57|25006)/, /./, 'connection'],
];

const kindOf = (sqlState: string, message: string): FindingKind =>
  patterns.find(([state, text]) => state.test(sqlState) && text.test(message))?.[2] ?? 'other';

/** The connection, the disk, memory, a standby, damaged data: no statement can succeed after it. */
const isFatal = (sqlState: string) =>
  /^(08|53|57P|25006|58030|XX001|XX002)/.test(sqlState) || sqlState === '57014' || sqlState === '55P03';

const longest = 300;

/** One line, without control characters, cut at 300 characters. */
export function plainMessage(message: string): string {
  const line = message.replace(/[\u0000-\u001f\u007f]+/g, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest - 1)}…` : line;
}
