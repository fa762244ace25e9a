import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import type { DrillCheckResult } from '../../domain/evidence.ts';
import { oneLine } from '../../domain/format.ts';
import { startChain } from '../../process/chain.ts';
import { findTool } from '../../process/environment.ts';
import { withSession, withToolEnvironment, type Server } from '../connection.ts';
import { failed, passed } from './checks.ts';

/** pg_amcheck, and with it the check of tables beside that of B-trees, came then. */
const since = 14;
const name = 'amcheck';
/** More of what it found is not kept. */
const saidAtMost = 20_000;

/**
 * The program; undefined: of a major version before it there is none. Fails with ToolMissing where it should be.
 * @param directory where the programs of that major version lie
 */
export function findAmcheck(major: number, directory: string): string | undefined {
  if (major < since) return undefined;
  const file = join(directory, 'pg_amcheck');
  if (findTool(file) !== undefined) return file;
  throw new HoldfastError(
    'ToolMissing',
    `pg_amcheck of PostgreSQL ${String(major)} is not installed on the worker`,
    'install it (it comes with the client tools of that version), or leave amcheck out of the policy',
  );
}

/**
 * Checks every table and every B-tree index of a copy that takes writes: the extension is installed in it where it
 * isn't. What is wrong is told, not thrown. Fails with ToolMissing where the server has no such extension.
 */
export async function runAmcheck(
  program: string | undefined,
  server: Server,
  signal: AbortSignal,
): Promise<DrillCheckResult> {
  if (program === undefined)
    return { name, outcome: 'skipped', detail: `pg_amcheck came with PostgreSQL ${String(since)}` };
  await assertExtension(server, signal);
  const args = [
    ...['--all', '--install-missing', '--jobs=2', '--no-password'],
    ...['--host', server.host, '--port', String(server.port), '--username', server.user],
    ...['--maintenance-db', server.database],
  ];
  const { database } = server;
  const { said, exit } = await withToolEnvironment(server, { database, applicationName: 'holdfast drill' }, (env) =>
    run(program, args, env, signal),
  );
  return exit?.code === 0
    ? passed(name, 'every table and B-tree index of every database is sound')
    : failed(name, foundIn(said, exit?.stderr ?? ''));
}

async function run(file: string, args: string[], env: Readonly<Record<string, string>>, signal: AbortSignal) {
  // 2: it found something; 1: it could not look. Its words are on stdout for the one, on stderr for the other.
  const command = { file, args, env, okExitCodes: [0, 1, 2] };
  const chain = startChain([command], { stdin: 'ignore', stdout: 'pipe', signal });
  let said = '';
  for await (const chunk of chain.stdout as AsyncIterable<Buffer>)
    if (said.length < saidAtMost) said += chunk.toString('utf8');
  const [exit] = await chain.finished;
  return { said, exit };
}

/** Pure: the first few of what it reported, and how many lines there are. */
export function foundIn(stdout: string, stderr: string): string {
  const lines = `${stdout}\n${stderr}`.split('\n').filter((line) => line.trim() !== '');
  const shown = lines.slice(0, 4).map((line) => oneLine(line.trim()).slice(0, 300));
  const more = lines.length > shown.length ? `; and ${String(lines.length - shown.length)} more lines` : '';
  return shown.length === 0 ? 'pg_amcheck failed and said nothing' : `${shown.join('; ')}${more}`;
}

async function assertExtension(server: Server, signal: AbortSignal): Promise<void> {
  const found = await withSession(server, { signal }, (session) =>
    session.query(`SELECT FROM pg_available_extensions WHERE name = 'amcheck'`),
  );
  if (found.length > 0) return;
  throw new HoldfastError(
    'ToolMissing',
    "the extension amcheck is not installed where the drill's server runs",
    "install PostgreSQL's contrib modules there, or leave amcheck out of the policy",
  );
}
