import { dirname, isAbsolute, join, relative } from 'node:path/posix';
import { pack } from 'tar-stream';
import { messageOf } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';

/** The effective configuration of a server, read through SQL. */
export interface ConfigurationFiles {
  /** Name in the tar, the file's own path on the server, its bytes. */
  readonly files: readonly { readonly name: string; readonly path: string; readonly bytes: Uint8Array }[];
  /** What couldn't be read, a sentence each. */
  readonly warnings: readonly string[];
}

/** A configuration is a few kilobytes; what is larger isn't one. */
const maxFileBytes = 4 * 1024 * 1024;
const maxFiles = 200;

const mainFiles = [
  { setting: 'config_file', name: 'postgresql.conf' },
  { setting: 'hba_file', name: 'pg_hba.conf' },
  { setting: 'ident_file', name: 'pg_ident.conf' },
] as const;

/**
 * config_file, hba_file, ident_file and what they include (also postgresql.auto.conf), as far as this role may read
 * them: a superuser, or one with pg_read_all_settings,
 * pg_read_server_files and EXECUTE on pg_read_binary_file. Files that can't be read are
 * warnings; `files` is empty where the main file is one of them. Nothing else is ever read: no keys, no password files.
 * What the files hold is stored as it is.
 */
export async function readConfiguration(session: Session): Promise<ConfigurationFiles> {
  const warnings: string[] = [];
  const attempt = async <T>(what: string, read: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await read();
    } catch (error) {
      warnings.push(`${what} is not in the backup: ${messageOf(error)}`);
      return otherwise;
    }
  };
  const mains = await session.query<{ readonly name: string; readonly path: string | null }>(
    `SELECT name, setting AS path FROM pg_settings WHERE name = ANY ($1::text[])`,
    [mainFiles.map(({ setting }) => setting)],
  );
  const pathOf = (setting: string) => mains.find(({ name }) => name === setting)?.path ?? '';
  if (pathOf('config_file') === '') {
    return {
      files: [],
      warnings: [
        'the configuration files are not in the backup: the role may not see where they lie; GRANT pg_read_all_settings, pg_read_server_files and EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) to it, or connect as a superuser',
      ],
    };
  }
  const wanted = new Map<string, string>();
  for (const { setting, name } of mainFiles) if (pathOf(setting) !== '') wanted.set(pathOf(setting), name);
  const home = dirname(pathOf('config_file'));
  const add = (path: string) => {
    if (isAbsolute(path) && !wanted.has(path) && wanted.size < maxFiles) wanted.set(path, plainName(path, home));
  };
  for (const source of includingViews(session.versionNum)) {
    const rows = await attempt(
      `what ${source.what} includes`,
      () => session.query<{ readonly path: string | null }>(source.sql),
      [],
    );
    for (const { path } of rows) if (path !== null) add(path);
  }
  const files: { name: string; path: string; bytes: Uint8Array }[] = [];
  // The set grows while it is walked: a list of roles that pg_hba.conf names by @file.
  for (const [path, name] of wanted) {
    const bytes = await attempt(`configuration file ${path}`, () => readFile(session, path), undefined);
    if (bytes === undefined) continue;
    files.push({ name, path, bytes });
    if (pathOf('hba_file') === path || name.includes('hba')) for (const list of listsIn(bytes, path)) add(list);
  }
  const hasMain = files.some(({ path }) => path === pathOf('config_file'));
  return { files: hasMain ? files : [], warnings };
}

/** Views that name the file of each line. What includes nothing but comments isn't named, and not missed. */
function includingViews(versionNum: number): readonly { readonly what: string; readonly sql: string }[] {
  const views = [
    { what: 'postgresql.conf', sql: 'SELECT DISTINCT sourcefile AS path FROM pg_file_settings ORDER BY 1' },
  ];
  if (versionNum < 160_000) return views;
  return [
    ...views,
    { what: 'pg_hba.conf', sql: 'SELECT DISTINCT file_name AS path FROM pg_hba_file_rules ORDER BY 1' },
    { what: 'pg_ident.conf', sql: 'SELECT DISTINCT file_name AS path FROM pg_ident_file_mappings ORDER BY 1' },
  ];
}

/** @throws what the session throws; a file that is too large is an error too */
async function readFile(session: Session, path: string): Promise<Uint8Array> {
  const [row] = await session.query<{ readonly bytes: Uint8Array }>(
    'SELECT pg_read_binary_file($1, 0, $2, false) AS bytes',
    [path, maxFileBytes + 1],
  );
  const bytes = row?.bytes ?? new Uint8Array();
  if (bytes.length > maxFileBytes) throw new Error(`it is larger than ${String(maxFileBytes)} bytes`);
  return bytes;
}

/** Where it lies below the main file's directory, else its whole path below `elsewhere`. */
function plainName(path: string, home: string): string {
  const below = relative(home, path);
  return below.startsWith('../') || below === '' ? `elsewhere${join('/', path)}` : below;
}

/** The files that lines of pg_hba.conf name instead of databases and roles: `@admins`, `@"a b"`. */
export function listsIn(bytes: Uint8Array, path: string): readonly string[] {
  const lists: string[] = [];
  for (const line of Buffer.from(bytes).toString('utf8').split('\n')) {
    const rule = line.replace(/#.*/, '');
    for (const [, quoted, bare] of rule.matchAll(/(?<=^|[\s,])@(?:"([^"]+)"|([^\s,"]+))/g)) {
      const name = quoted ?? bare ?? '';
      if (name !== '') lists.push(isAbsolute(name) ? name : join(dirname(path), name));
    }
  }
  return lists;
}

/**
 * As a plain tar, owner and times always the same, modes 0600: they may hold passwords. The first entry, `FILES`, says
 * where each file lay.
 */
export async function packConfiguration({ files }: ConfigurationFiles): Promise<Uint8Array> {
  const tar = pack();
  const fixed = { mtime: new Date(0), uid: 0, gid: 0, uname: '', gname: '', mode: 0o600 };
  const index = files.map(({ name, path }) => `${name}\t${path}\n`).join('');
  tar.entry({ ...fixed, name: 'FILES' }, index);
  for (const { name, bytes } of files) tar.entry({ ...fixed, name }, Buffer.from(bytes));
  tar.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of tar as AsyncIterable<Uint8Array>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
