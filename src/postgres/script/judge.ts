import type { DumpFinding } from '../../domain/dump-survey.ts';
import { forms, type Subject } from './forms.ts';
import { beginningOf, findOutermost, outermost } from './names.ts';
import { isSafeEncoding } from './encodings.ts';
import { tokenKind, type Statement } from './statement.ts';

export interface Judgement {
  /** nothing: a dump holds such statements. never: it can't be allowed. */
  readonly needs: DumpFinding['needs'] | 'nothing';
  /** A phrase such as "COPY … PROGRAM"; empty where nothing is needed. */
  readonly what: string;
  /** null: it is of no form that pg_dump writes. */
  readonly subject: Subject | null;
}

/** What a statement is about, without judging it. Pure. */
export function subjectOf(statement: Statement): Subject | null {
  if (statement.is(0, 'insert') && statement.is(1, 'into')) return 'insert';
  const shape = statement.shape();
  const subject = forms.find(({ pattern }) => pattern.test(shape))?.subject ?? null;
  if (subject !== 'definition' || !/^ (?:grant|revoke) /.test(shape)) return subject;
  const on = findOutermost(statement, ['on'], 1);
  if (on === -1 || statement.is(on + 1, 'tablespace') || statement.is(on + 1, 'parameter')) return 'cluster';
  if (statement.has(on + 1, 'large', 'object')) return 'large object';
  return statement.is(on + 1, 'database') ? 'database' : 'definition';
}

/**
 * Decides whether a statement is one that pg_dump and pg_dumpall of 9.6 to 18 write, does something on the server's own
 * machine, or is neither. Pure. What isn't known is `unexpected`, what can't be read safely is `never`.
 *
 * It judges what a statement itself does. What the functions, triggers and views of a dump do once they run is theirs,
 * as it was where the dump came from: a dump is code.
 */
export function judge(statement: Statement): Judgement {
  const subject = subjectOf(statement);
  const is = (needs: Judgement['needs'], what: string): Judgement => ({ needs, what, subject });
  if (statement.problem !== null) return is('never', statement.problem);
  if (subject === 'insert' && isPlainInsert(statement)) return is('nothing', '');
  const reading = readingSetting(statement);
  if (reading !== null) return is('never', reading);
  const server = onTheServer(statement, subject);
  if (server !== null) return is('server-side', server);
  if (subject === 'copy' && !statement.copiesIn) return is('unexpected', beginningOf(statement));
  const odd = subject === null ? beginningOf(statement) : beyondForm(statement, subject);
  return odd === null ? is('nothing', '') : is('unexpected', odd);
}

/** What changes how everything after it is read, in a form that can't be followed. */
function readingSetting(statement: Statement): string | null {
  if (!statement.is(0, 'set') && !statement.is(0, 'reset')) return null;
  for (let at = 1; at < 4; at += 1) {
    const name = statement.name(at, 'utf8')?.toLowerCase();
    if (name === 'names') return 'SET NAMES';
    if (name !== 'client_encoding' && name !== 'standard_conforming_strings') continue;
    const text = statement.string(3, 'utf8') ?? statement.name(3, 'utf8');
    const plain =
      statement.is(0, 'set') && at === 1 && statement.count === 4 && (statement.is(2, '=') || statement.is(2, 'to'));
    if (!plain || text === undefined || statement.kind(1) !== 'word') return `${name} set in a way that no dump does`;
    if (name === 'client_encoding' && !isSafeEncoding(text)) return `client_encoding ${text.slice(0, 40)}`;
    if (name === 'standard_conforming_strings' && text !== 'on' && text !== 'off')
      return `${name} set in a way that no dump does`;
    return null;
  }
  return null;
}

/** Names of functions that reach out of the database; called, not merely mentioned. */
const reaching =
  /^(?:pg_read_(?:binary_)?file\w*|pg_ls_\w+|pg_stat_file|pg_file_\w+|pg_logdir_ls|lo_import|lo_export|dblink\w*|pg_reload_conf|pg_rotate_logfile\w*|pg_terminate_backend|pg_cancel_backend|pg_promote|pg_execute_server_program)$/;

/** In these an expression is only kept, or a function only named. */
const keepsExpressions =
  /^ (?:create (?:or replace )?(?:function|procedure|view|recursive|rule|trigger|policy|aggregate|operator|cast)|comment|grant|revoke|security|alter (?:function|procedure|routine|default)|drop|set) /;

function onTheServer(statement: Statement, subject: Subject | null): string | null {
  const shape = statement.shape();
  if (shape.startsWith(' alter system ')) return 'ALTER SYSTEM';
  if (shape.startsWith(' load ')) return 'LOAD';
  if (shape.startsWith(' import foreign schema ')) return 'IMPORT FOREIGN SCHEMA';
  switch (subject) {
    case 'copy':
      return statement.copiesIn ? null : copyOnServer(statement);
    case 'function':
      return functionOnServer(statement);
    case 'language':
      return languageOnServer(statement);
    case 'subscription':
      return subscriptionOnServer(statement);
    default:
      return keepsExpressions.test(shape) ? null : callOnServer(statement);
  }
}

function copyOnServer(statement: Statement): string | null {
  const at = findOutermost(statement, ['from', 'to'], 1);
  if (at === -1) return null;
  if (statement.is(at + 1, 'program')) return 'COPY … PROGRAM';
  return statement.kind(at + 1) === 'string' ? 'COPY from or to a file' : null;
}

/** Those whose functions can't leave the database: what PostgreSQL calls trusted. */
const trustedLanguages = new Set(['sql', 'plpgsql', 'pltcl', 'plperl', 'plv8', 'plcoffee', 'plls', 'pllua', 'plrust']);

function functionOnServer(statement: Statement): string | null {
  for (const at of outermost(statement, 2)) {
    if (!statement.is(at, 'language') || statement.is(at - 1, '.')) continue;
    const language = statement.string(at + 1, 'utf8') ?? statement.name(at + 1, 'utf8') ?? 'of an unknown kind';
    if (!trustedLanguages.has(language)) return `a function in language ${language.slice(0, 63)}`;
  }
  return null;
}

function languageOnServer(statement: Statement): string | null {
  const at = findOutermost(statement, ['language'], 1);
  const language = statement.name(at + 1, 'utf8') ?? statement.string(at + 1, 'utf8');
  const known = language !== undefined && trustedLanguages.has(language) && at + 2 === statement.count;
  return known ? null : `CREATE LANGUAGE ${language?.slice(0, 63) ?? ''}`.trimEnd();
}

/** pg_dump makes subscriptions that are not connected; whatever enables one connects to wherever it says. */
function subscriptionOnServer(statement: Statement): string | null {
  if (statement.is(0, 'alter')) return / owner to \S+ $/.test(statement.shape()) ? null : 'ALTER SUBSCRIPTION';
  if (!statement.is(0, 'create')) return null;
  let connects = true;
  for (let at = 3; at + 2 < statement.count; at += 1) {
    if (statement.is(at, 'connect')) connects = !statement.has(at + 1, '=', 'false');
  }
  return connects ? 'CREATE SUBSCRIPTION that connects' : null;
}

function callOnServer(statement: Statement): string | null {
  for (let at = 0; at + 1 < statement.count; at += 1) {
    if (!statement.is(at + 1, '(')) continue;
    const name = statement.name(at, 'utf8');
    if (name !== undefined && reaching.test(name)) return `a call of ${name}`;
    // A name with Unicode escapes may be any of these.
    if (name === undefined && statement.kind(at) === 'identifier') return 'a call of a function by an escaped name';
  }
  return null;
}

/** What a statement of a known form holds that pg_dump wouldn't put there; null: nothing. */
function beyondForm(statement: Statement, subject: Subject): string | null {
  const shape = statement.shape();
  switch (subject) {
    case 'insert':
      return 'INSERT of more than plain values';
    case 'setting':
      return plainConfig(statement) ? null : 'set_config of something that no dump sets';
    case 'refresh':
      return statement.is(2, 'view') && !shape.includes(' concurrently ')
        ? null
        : 'REFRESH MATERIALIZED VIEW CONCURRENTLY';
    case 'definition':
      if (/^ create (?:unlogged |foreign )?table /.test(shape) && findOutermost(statement, ['as'], 2) !== -1)
        return 'CREATE TABLE … AS';
      if (shape.startsWith(' create materialized view ') && !statement.has(statement.count - 3, 'with', 'no', 'data'))
        return 'CREATE MATERIALIZED VIEW with rows';
      if (/^ alter (?:foreign )?table /.test(shape) && findOutermost(statement, [','], 2) !== -1)
        return 'ALTER TABLE with several changes';
      return null;
    default:
      return null;
  }
}

/** Names whose empty lists Holdfast's own dumps set by set_config, and the one that pg_dump does. */
const configurable =
  /^(?:search_path|temp_tablespaces|local_preload_libraries|session_preload_libraries|shared_preload_libraries|unix_socket_directories)$/;

function plainConfig(statement: Statement): boolean {
  if (!statement.is(0, 'select')) return true;
  return configurable.test(statement.string(5, 'utf8') ?? '');
}

const plainWords = ['null', 'true', 'false', 'default'];
const plainSymbols = [...Buffer.from('(),-+.')];

/** INSERT INTO name [(columns)] [OVERRIDING …] VALUES of literals [ON CONFLICT DO NOTHING], or DEFAULT VALUES. */
function isPlainInsert(statement: Statement): boolean {
  let at = 2;
  if (!isName(statement, at)) return false;
  for (at += 1; statement.is(at, '.'); at += 2) if (!isName(statement, at + 1)) return false;
  if (statement.is(at, 'default') && statement.is(at + 1, 'values')) return at + 2 === statement.count;
  if (statement.is(at, '(')) {
    do {
      if (!isName(statement, at + 1)) return false;
      at += 2;
    } while (statement.is(at, ','));
    if (!statement.is(at, ')')) return false;
    at += 1;
  }
  if (statement.is(at, 'overriding') && statement.is(at + 2, 'value')) at += 3;
  if (!statement.is(at, 'values')) return false;
  const conflict = statement.has(statement.count - 4, 'on', 'conflict', 'do', 'nothing');
  const end = conflict ? statement.count - 4 : statement.count;
  for (at += 1; at < end; at += 1) if (!isPlainValue(statement, at)) return false;
  return true;
}

function isName({ tokens, bytes }: Statement, at: number): boolean {
  const kind = tokens.kind(at);
  return kind === tokenKind.word || (kind === tokenKind.identifier && bytes[tokens.start(at)] === 0x22);
}

function isPlainValue(statement: Statement, at: number): boolean {
  const kind = statement.tokens.kind(at);
  if (kind === tokenKind.string || kind === tokenKind.number) return true;
  if (kind === tokenKind.symbol) return plainSymbols.includes(statement.bytes[statement.tokens.start(at)] ?? 0);
  if (kind !== tokenKind.word) return false;
  for (const word of plainWords) if (statement.is(at, word)) return true;
  return false;
}
