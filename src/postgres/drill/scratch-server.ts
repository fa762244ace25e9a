import type { DatabaseRecord, Manifest } from '../../domain/manifest.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import type { Server } from '../server.ts';

/** An empty server that exists for one drill of a logical backup and nothing else, wherever it was made. */
export interface ScratchServer {
  readonly server: Server;
  /** 170006 is 17.6; not older than the backup's own major version. */
  readonly versionNum: number;
  /** For messages: "the worker's machine", "image …". */
  readonly where: string;
  /** For messages: what to do where that lacks something. */
  readonly cure: string;
  /** For messages: its disk, and what to do where that was full. */
  readonly disk: { readonly name: string; readonly cure: string };
  /** A directory of the server's own machine: nothing of the drill lies outside. */
  readonly tablespaces: string;
  /** An empty directory below it for each tablespace that was wished for, which the server's user owns. */
  readonly tablespaceDirectory: (index: number) => Promise<string>;
}

/** What a backup wants of the server that it is restored into. */
export interface ServerWish {
  readonly versionNum: number;
  /** The role that initdb made in the source makes it here: what hangs on its name then fits. */
  readonly superuser: string;
  /** Of template1; '' and null: initdb's own. Databases are made from template0 with locales of their own. */
  readonly encoding: string;
  readonly locale: Pick<DatabaseRecord, 'collate' | 'ctype' | 'localeProvider' | 'locale'>;
  /** What the backup's databases took; a restored cluster takes about the same. */
  readonly bytes: number;
  readonly tablespaces: number;
  /** Libraries that its extensions want loaded at the server's start. */
  readonly preload: readonly string[];
}

/** Extensions that want a library of their own name loaded when the server starts, and do nothing by themselves then. */
const preloaded = [
  'pg_stat_statements',
  'pg_stat_kcache',
  'pg_qualstats',
  'pgaudit',
  'pg_hint_plan',
  'plpgsql_check',
  'set_user',
  'age',
  'anon',
];

/** Pure. @param tablespaces how many the backup makes */
export function wishOf({ server, databases }: Manifest, tablespaces: number): ServerWish {
  const template = databases.find(({ name }) => name === 'template1');
  const extensions = new Set(databases.flatMap((database) => database.extensions.map(({ name }) => name)));
  return {
    versionNum: server.versionNum,
    superuser: server.bootstrapRole === '' ? 'postgres' : server.bootstrapRole,
    encoding: template?.encoding ?? '',
    locale: {
      collate: template?.collate ?? '',
      ctype: template?.ctype ?? '',
      localeProvider: template?.localeProvider ?? 'libc',
      locale: template?.locale ?? null,
    },
    bytes: databases.reduce((sum, { bytes, status }) => sum + (status === 'dumped' ? bytes : 0), 0),
    tablespaces,
    preload: preloaded.filter((name) => extensions.has(name)),
  };
}

/** Whether initdb, or the server, says that it lacks a locale. Pure. */
export const lacksLocale = (said: string) =>
  /invalid locale (name|settings)|locale .* not (found|supported)/.test(said);

export const localeMissing = (locale: string, { where, cure }: Pick<ScratchServer, 'where' | 'cure'>, cause: unknown) =>
  new HoldfastError(
    'ToolMissing',
    `locale '${locale}', which template1 of the backup has, is not installed on ${where}`,
    cure,
    { cause },
  );

/** Fails with Unexpected where a tablespace of the copy lies outside the drill's own place. */
export async function assertInside(
  session: Session,
  { tablespaces }: Pick<ScratchServer, 'tablespaces'>,
): Promise<void> {
  const rows = await session.query<{ readonly name: string; readonly location: string }>(
    `SELECT spcname::text AS name, pg_tablespace_location(oid) AS location FROM pg_tablespace
      WHERE spcname NOT IN ('pg_default', 'pg_global')`,
  );
  const outside = rows.find(({ location }) => !location.startsWith(`${tablespaces}/`));
  if (outside === undefined) return;
  throw new HoldfastError(
    'Unexpected',
    `tablespace '${outside.name}' of the drill lies in ${outside.location}, outside its own place`,
    'report this as a bug; nothing of it was removed',
  );
}
