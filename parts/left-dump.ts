/** Dumps that something else than Holdfast leaves in a repository, as cron jobs do. */
import { execFile } from 'node:child_process';
import { mkdir, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { PostgresServer } from './postgres-server.ts';

const run = promisify(execFile);

/**
 * Runs a line of shell with the server's own tools, whose output is the file; or with `$FILE` in it, which writes it
 * itself. It is an hour old then: nobody is still writing it.
 */
export async function leaveDump(server: PostgresServer, file: string, line: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  const command = line.includes('$FILE') ? line : `{ ${line}; } > "$FILE"`;
  await run('bash', ['-c', `set -euo pipefail; ${command}`], {
    env: {
      PATH: `${server.binDir}:${process.env['PATH'] ?? ''}`,
      PGHOST: server.host,
      PGPORT: String(server.port),
      PGUSER: server.user,
      PGPASSWORD: server.password,
      FILE: file,
    },
  });
  await run('find', [file, '-exec', 'touch', '-d', '1 hour ago', '{}', '+']);
}

/** As if it had been changed just now. */
export const touch = (file: string) => utimes(file, new Date(), new Date());
