import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { HoldfastError } from '../domain/errors.ts';
import type { Server } from './server.ts';

/**
 * How pg_dump, psql and their like reach a server: by environment, so that no name is ever read as connection
 * parameters and no secret stands in an argument. The password lies in a pass file that only this user can read, for
 * as long as `use` takes; what a killed worker left behind is swept by the next one on the same host.
 *
 * @param options.database goes by PGDATABASE, which libpq takes as a name whatever it holds
 */
export async function withToolEnvironment<T>(
  server: Server,
  options: { readonly database: string; readonly applicationName: string },
  use: (env: Readonly<Record<string, string>>) => Promise<T>,
): Promise<T> {
  const directory = await passDirectory();
  try {
    const passFile = join(directory, 'pgpass');
    // Also without a password: libpq must not look for one in the home directory.
    await writeFile(passFile, passLine(server), { mode: 0o600, flag: 'wx' });
    return await use(toolEnvironment(server, options, passFile));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

function toolEnvironment(
  server: Server,
  options: { readonly database: string; readonly applicationName: string },
  passFile: string,
): Readonly<Record<string, string>> {
  return {
    PGHOST: server.host,
    PGPORT: String(server.port),
    PGUSER: server.user,
    PGDATABASE: options.database,
    PGSSLMODE: server.sslmode,
    ...(server.sslrootcert === undefined ? {} : { PGSSLROOTCERT: server.sslrootcert }),
    PGAPPNAME: options.applicationName,
    PGCONNECT_TIMEOUT: '15',
    PGPASSFILE: passFile,
  };
}

/** One line that fits this server whatever the database; empty without a password. */
export function passLine(server: Server): string {
  if (server.password === undefined || server.password === '') return '';
  if (/[\r\n\0]/.test(server.password)) {
    throw new HoldfastError(
      'PostgresRefused',
      `the password of '${server.user}' holds a line break or a NUL character, which a pass file can't express`,
      'check that the secret has no line break at its end, or choose another password',
    );
  }
  const escape = (text: string) => text.replaceAll('\\', '\\\\').replaceAll(':', '\\:');
  return `*:*:*:*:${escape(server.password)}\n`;
}

const prefix = `holdfast-pass-${hostname()}-`;

let swept: Promise<void> | undefined;

async function passDirectory(): Promise<string> {
  swept ??= sweepPassDirectories();
  await swept;
  return mkdtemp(join(tmpdir(), `${prefix}${String(process.pid)}-`));
}

/** Removes what processes of this host that are no more have left. */
async function sweepPassDirectories(): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN;
    if (Number.isNaN(pid) || isAlive(pid)) continue;
    await rm(join(tmpdir(), name), { recursive: true, force: true }).catch(() => undefined);
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as { code?: unknown }).code !== 'ESRCH';
  }
}
