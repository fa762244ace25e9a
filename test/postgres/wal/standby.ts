/** A standby of a real server, made with pg_basebackup -R, which can be promoted. */
import { execFile, type ChildProcess } from 'node:child_process';
import { appendFile, rm } from 'node:fs/promises';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../../parts/free-port.ts';
import { lendPrograms } from '../../../parts/lent-programs.ts';
import { end, raise } from '../../../parts/offspring.ts';
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { findPostgres } from '../../../scripts/setup/places.mjs';

const run = promisify(execFile);

export interface Standby extends Pick<PostgresServer, 'host' | 'port' | 'user' | 'password' | 'dataDir' | 'binDir'> {
  psql(sql: string): Promise<string>;
  promote(): Promise<void>;
  stop(): Promise<void>;
}

export async function makeStandby(primary: PostgresServer): Promise<Standby> {
  const installed = findPostgres(primary.major);
  if (installed === undefined) throw new Error('the primary was started with something');
  const owner = serverUser();
  const scratch = await makeScratch('standby', { inMemory: true, owner });
  const programs = await lendPrograms(installed, primary.major, owner !== undefined);
  const dataDir = join(scratch, 'data');
  const identity = owner === undefined ? [] : [`--reuid=${owner.name}`, `--regid=${owner.name}`, '--init-groups'];
  const port = await freePort();
  let server: ChildProcess | undefined;
  const stop = async () => {
    if (server !== undefined) await end(server, 'SIGINT', 60_000);
    await rm(scratch, { recursive: true, force: true });
    await programs.giveBack();
  };
  const psql = async (sql: string) => {
    const address = ['-h', scratch, '-p', String(port), '-U', 'postgres', '-d', 'postgres'];
    const { stdout } = await run(join(primary.binDir, 'psql'), ['-X', '-q', '-A', '-t', ...address, '-c', sql]);
    return stdout.trimEnd();
  };
  try {
    const from = ['-h', primary.socketDir, '-p', String(primary.port), '-U', 'postgres'];
    const command = [
      join(programs.binDir, 'pg_basebackup'),
      ...from,
      '-D',
      dataDir,
      '-R',
      '-X',
      'stream',
      '-c',
      'fast',
    ];
    await run('setpriv', [...identity, '--', ...command, '--no-sync'], { cwd: '/' });
    await appendFile(
      join(dataDir, 'postgresql.conf'),
      `port = ${String(port)}\nunix_socket_directories = '${scratch}'\n`,
    );
    const logFile = join(scratch, 'server.log');
    const postgres = join(programs.binDir, 'postgres');
    server = raise({ command: postgres, args: ['-D', dataDir], logFile, user: owner?.name, atOurDeath: 'QUIT' });
    while (
      !(await psql('SELECT 1').then(
        () => true,
        () => false,
      ))
    ) {
      if (server.exitCode !== null) throw new Error(`the standby did not start: ${readFileSync(logFile, 'utf8')}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    ...{ host: '127.0.0.1', port, user: 'postgres', password: primary.password, dataDir, binDir: primary.binDir },
    psql,
    stop,
    promote: async () => {
      await psql('SELECT pg_promote()');
      if (existsSync(join(dataDir, 'standby.signal'))) throw new Error('the standby was not promoted');
    },
  };
}
