import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../../parts/free-port.ts';
import { serverUser } from '../../parts/server-user.ts';
import type { World } from '../../parts/world.ts';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { readmeText } from '../../src/storage/readme.ts';
import { note, startArchive, startArchiving, systemOf, untilArchived } from './recovering.ts';
import { backUp } from './runs.ts';

const run = promisify(execFile);

/** The commands of the README's part on base backups, as they stand there, but for names of places and the target. */
function commands(base: string, wal: string, at: string): string {
  const [, part = ''] = /\n4\. RECOVER A BASE BACKUP([\s\S]*?)\n5\. /.exec(readmeText) ?? [];
  const typed = part
    .split('\n')
    .filter((line) => line.startsWith('     ') && !line.includes('pg_combinebackup'))
    .map((line) => line.slice(5))
    .join('\n');
  return typed
    .replace('/backup/CLUSTER/physical/SYSTEM/ID', base)
    .replace('/backup/CLUSTER/wal/SYSTEM', wal)
    .replace('2026-11-21 14:00:00+09', at.replace('T', ' ').replace('Z', '+00'));
}

describe('on the day that Holdfast can not be had', () => {
  let world: World;
  let server: PostgresServer;

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major: 15 }));
    await world.startWorker();
    await startArchive(world);
  });
  afterAll(() => world.stop());

  test('what the README says recovers a base backup to a point in time', async () => {
    const { id } = await backUp(world, 'base');
    const { at } = await note(server, 'first');
    await note(server, 'second');
    await untilArchived(world, server);
    const system = await systemOf(server);
    const home = join(world.directory, 'by-hand');
    await mkdir(home);
    const script = join(home, 'typed.sh');
    const base = join(world.repository, 'main/physical', system, id);
    await writeFile(script, `set -e\n${commands(base, join(world.repository, 'main/wal', system), at)}`);
    const user = serverUser();
    const identity = user === undefined ? {} : { uid: user.uid, gid: user.gid };
    if (user !== undefined) {
      await chown(home, user.uid, user.gid);
      // In earnest the repository is one that this user may read.
      await run('chmod', ['-R', 'a+rX', world.repository]);
    }
    await chmod(home, 0o755);
    const env = { PATH: `${server.serverBinDir}:${process.env['PATH'] ?? ''}` };
    await run('sh', [script], { cwd: home, env, ...identity });
    const port = await freePort();
    const options = `-p ${String(port)} -k ${home} -c listen_addresses=`;
    await run('pg_ctl', ['-D', 'data', '-o', options, '-l', 'server.log', '-w', 'start'], {
      cwd: home,
      env,
      ...identity,
    });
    try {
      const { stdout } = await run(
        'psql',
        [
          '-X',
          '-A',
          '-t',
          '-h',
          home,
          '-p',
          String(port),
          '-c',
          'SELECT string_agg(text, $$,$$) FROM notes',
          'postgres',
        ],
        { env: { ...env, PGUSER: 'postgres' }, ...identity },
      );
      expect(stdout.trim()).toBe('first');
    } finally {
      await run('pg_ctl', ['-D', 'data', '-m', 'immediate', 'stop'], { cwd: home, env, ...identity });
    }
  });
});
