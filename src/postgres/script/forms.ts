/**
 * The statements that pg_dump and pg_dumpall of 9.6 to 18 write, as patterns over a statement's shape (see
 * Statement.shape). What matches none of these is not what they write.
 */

/** What becomes of a statement in a restore of one database depends on what it is about. */
export type Subject =
  /** The database or the cluster as a whole: not for a copy of it under another name. */
  | 'database'
  | 'cluster'
  /** What --clean puts before everything else. */
  | 'drop'
  | 'setting'
  | 'transaction'
  | 'definition'
  | 'insert'
  | 'copy'
  | 'sequence value'
  | 'large object'
  | 'statistics'
  | 'foreign key'
  | 'trigger'
  | 'event trigger'
  | 'rule'
  | 'publication'
  | 'subscription'
  | 'refresh'
  | 'function'
  | 'language';

export interface Form {
  readonly subject: Subject;
  readonly pattern: RegExp;
}

const name = `(?:"i"|[a-z_\\u0080-\\u00ff][a-z0-9_$\\u0080-\\u00ff]*)`;
const qualified = `${name}(?: \\. ${name})*`;
const value = `(?:'s'|(?:- )?0|${name})`;
const table = `(?:table|foreign table|view|materialized view) (?:if exists )?(?:only )?${qualified}`;

const form = (subject: Subject, pattern: string): Form => ({ subject, pattern: new RegExp(`^ ${pattern}`) });

/** With numbers such as pg_dump writes them for its own settings, and with nothing behind the value. */
const settings = [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'transaction_timeout',
  'client_encoding',
  'standard_conforming_strings',
  'escape_string_warning',
  'check_function_bodies',
  'xmloption',
  'client_min_messages',
  'row_security',
  'search_path',
  'default_tablespace',
  'default_with_oids',
  'default_table_access_method',
  'default_transaction_read_only',
];

const createdThings = [
  'type',
  'domain',
  'aggregate',
  'operator',
  'cast',
  '(?:default )?conversion',
  'collation',
  'policy',
  'extension',
  'text search (?:parser|dictionary|template|configuration)',
  'foreign data wrapper',
  'server',
  'user mapping',
  'statistics',
  'access method',
  '(?:or replace )?transform',
  '(?:unique )?index(?! concurrently )',
  '(?:unlogged )?sequence',
  '(?:or replace )?(?:recursive )?view',
  'materialized view',
  '(?:unlogged |foreign )?table',
];

/** What follows ALTER TABLE name, and has no effect beyond the table's definition. */
const tableChanges = [
  'owner to ',
  'add constraint ',
  'attach partition ',
  'cluster on ',
  'replica identity ',
  '(?:enable|disable|force|no force) row level security ',
  `alter (?:column )?${name} set (?:statistics|storage|compression|default|not null|\\()`,
  `alter (?:column )?${name} (?:add generated|options \\()`,
  'inherit ',
  'of ',
  'set \\(',
  'set with(?:out)? (?:oids|cluster) ',
  'set access method ',
  'options \\(',
];

const alteredThings = [
  'type',
  'domain',
  'aggregate',
  'operator',
  'conversion',
  'collation',
  'policy',
  'text search (?:parser|dictionary|template|configuration)',
  'foreign data wrapper',
  'server',
  'user mapping',
  'statistics',
  'access method',
  'index',
  'sequence',
  'schema',
  'function',
  'procedure',
  'routine',
  'default privileges',
];

const literals = `(?:'s'|(?:- )?0|true|false|null|::?|\\[|\\]|,|\\.|pg_catalog|${name})`;
const literalArguments = `\\( (?:${literals} )*\\) $`;

/** In this order: the first that matches counts. */
export const forms: readonly Form[] = [
  form('copy', 'copy '),
  form('insert', 'insert into '),
  form('setting', `set (?:${settings.join('|')}) (?:=|to) ${value}(?: , ${value})* $`),
  form('setting', `(?:set session authorization (?:'s'|${name})|set role (?:'s'|${name})|reset role) $`),
  form('setting', 'reset session authorization $'),
  form('setting', `select pg_catalog \\. set_config \\( 's' , 's' , false \\) $`),
  form('transaction', '(?:begin|commit) $'),
  form('sequence value', `select (?:pg_catalog \\. )?setval \\( 's' , (?:- )?0 , (?:true|false) \\) $`),
  form('large object', `select pg_catalog \\. (?:lo_create|lo_open|lowrite|lo_close) \\( (?:(?:'s'|0|,) )*\\) $`),
  form('large object', `select pg_catalog \\. lo_open \\( pg_catalog \\. lo_create \\( 's' \\) , 0 \\) $`),
  form('drop', `select pg_catalog \\. lo_unlink \\( (?:'s'|0) \\) $`),
  form(
    'drop',
    `select pg_catalog \\. lo_unlink \\( oid \\) from pg_catalog \\. pg_largeobject_metadata where oid = (?:'s'|0) $`,
  ),
  form('statistics', `select \\* from pg_catalog \\. pg_(?:restore|clear)_[a-z]+_stats ${literalArguments}`),
  form('statistics', `select pg_catalog \\. pg_(?:restore|clear)_[a-z]+_stats ${literalArguments}`),
  form('definition', `select pg_catalog \\. binary_upgrade_[a-z_]+ ${literalArguments}`),

  form('database', '(?:create|alter|drop) database '),
  form('database', '(?:comment on|security label on|security label for \\S+ on) database '),
  form('database', `alter (?:role|user) ${name} in database `),
  form('database', `update pg_catalog \\. pg_database set datistemplate = (?:false|true|'s') where datname = 's' $`),
  form('definition', '(?:create|alter) user mapping '),
  form('drop', 'drop user mapping '),
  form('cluster', '(?:create|alter|drop) (?:role|user|group|tablespace) '),
  form('cluster', '(?:comment on|security label on|security label for \\S+ on) (?:role|tablespace) '),

  form('drop', 'drop '),
  form('drop', `alter ${table} drop constraint `),
  form('drop', `alter ${table} alter (?:column )?${name} drop default $`),
  form('drop', `alter domain (?:if exists )?${qualified} drop constraint `),

  form('foreign key', `alter ${table} add constraint ${name} foreign key `),
  form('trigger', `alter ${table} (?:enable|disable) (?:always |replica )?trigger `),
  form('rule', `alter ${table} (?:enable|disable) (?:always |replica )?rule `),
  form('trigger', 'create (?:or replace )?(?:constraint )?trigger '),
  form('trigger', '(?:comment on|alter) trigger '),
  form('event trigger', '(?:create|alter|comment on|security label on|security label for \\S+ on) event trigger '),
  form('rule', '(?:create (?:or replace )?|comment on |alter )rule '),
  form('publication', '(?:create|alter|comment on|security label on|security label for \\S+ on) publication '),
  form('subscription', '(?:create|alter|comment on|security label on|security label for \\S+ on) subscription '),
  form('large object', '(?:alter|comment on|security label on|security label for \\S+ on) large object '),
  form('large object', '(?:grant|revoke) [a-z ,]+ on large object '),
  form('refresh', 'refresh materialized view '),

  form('function', 'create (?:or replace )?(?:function|procedure) '),
  form('language', 'create (?:or replace )?(?:trusted )?(?:procedural )?language '),
  form('definition', `alter (?:procedural )?language ${name} owner to `),
  form('definition', `create schema (?:if not exists )?(?:${name} )?(?:authorization ${name} )?$`),
  form('definition', `create (?:${createdThings.join('|')}) `),
  form('definition', `alter ${table} (?:${tableChanges.join('|')})`),
  form('definition', `alter extension ${name} (?:add|set schema) `),
  form('definition', `alter (?:${alteredThings.join('|')}) `),
  form('definition', 'comment on '),
  form('definition', 'security label '),
  form('definition', '(?:grant|revoke) '),
];
