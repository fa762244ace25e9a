import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, chown, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { createInstance } from '../../../src/postgres/instance/create.ts';
import { allowedSettings } from '../../../src/postgres/instance/settings.ts';
import { serverOf, startInstance, type InstanceInput } from '../../../src/postgres/instance/start.ts';
import { instanceState } from '../../../src/postgres/instance/state.ts';
import { stopInstance } from '../../../src/postgres/instance/stop.ts';
import { lentServerPrograms, type LentPrograms } from './programs.ts';

const runAs = serverUser();
const { signal } = new AbortController();
const superuser = { user: 'postgres', database: 'postgres' };

describe.each([15, 17] as const)('an instance of PostgreSQL %i that a worker starts', (major) => {
  let lent: LentPrograms;
  let scratch: string;

  beforeAll(async () => {
    lent = await lentServerPrograms(major);
    scratch = await makeScratch(`inst${major.toString()}`, { owner: runAs, inMemory: true });
  });
  afterAll(async () => {
    await rm(scratch, { recursive: true, force: true });
    await lent.giveBack();
  });

  async function made(name: string): Promise<InstanceInput> {
    const home = join(scratch, name);
    await mkdir(home, { mode: 0o755 });
    const dataDirectory = join(home, 'data');
    await createInstance({ programs: lent.programs, dataDirectory, runAs, fsync: false, signal });
    const { settings } = allowedSettings({ programs: lent.programs, source: {}, control: {} });
    const socketDirectory = join(home, 'run');
    const logFile = join(home, 'server.log');
    const { programs } = lent;
    return { programs, dataDirectory, socketDirectory, port: 5432, runAs, settings, logFile };
  }

  test('answers over its socket and nowhere else, is found again by its directory, and stops', async () => {
    const input = await made('plain');
    const instance = await startInstance(input, { signal });
    const rows = await withSession(serverOf(instance, superuser), {}, (session) =>
      session.query<{ listen: string; mode: string; config: string }>(
        `SELECT current_setting('listen_addresses') AS listen, current_setting('archive_mode') AS mode, current_setting('config_file') AS config`,
      ),
    );
    expect(rows).toEqual([{ listen: '', mode: 'off', config: join(input.socketDirectory, 'postgresql.conf') }]);
    expect((await stat(input.socketDirectory)).mode & 0o777).toBe(0o700);
    const state = await instanceState(input.dataDirectory);
    expect(state).toMatchObject({ status: 'ready', pid: instance.pid, mark: { port: 5432 } });
    expect((await startInstance(input, { signal })).pid).toBe(instance.pid);
    expect(await stopInstance(input.dataDirectory, { signal })).toBe(true);
    expect(await stopInstance(input.dataDirectory, { signal })).toBe(false);
    expect((await instanceState(input.dataDirectory)).status).toBe('stopped');
  });

  test("takes nothing from the data directory's own configuration, nor from its postgresql.auto.conf", async () => {
    const input = await made('auto');
    const marker = join(scratch, 'archived');
    const evil = [
      "archive_mode = 'on'",
      `archive_command = 'touch ${marker}'`,
      "shared_preload_libraries = 'pg_cron'",
      "primary_conninfo = 'host=/nowhere'",
      "max_logical_replication_workers = '4'",
      "listen_addresses = '*'",
      "ssl = 'on'",
      "work_mem = '77MB'",
    ].join('\n');
    await writeFile(join(input.dataDirectory, 'postgresql.auto.conf'), `${evil}\n`);
    await appendFile(join(input.dataDirectory, 'postgresql.conf'), `${evil}\n`);
    const instance = await startInstance(input, { signal });
    const ask = (sql: string) =>
      withSession(serverOf(instance, superuser), {}, (session) => session.query<Record<string, string>>(sql));
    const names = [
      'archive_mode',
      'archive_command',
      'shared_preload_libraries',
      'primary_conninfo',
      'ssl',
      'work_mem',
    ];
    const shown = await ask(`SELECT ${names.map((name) => `current_setting('${name}') AS ${name}`).join(', ')}`);
    expect(shown).toEqual([
      {
        archive_mode: 'off',
        archive_command: '(disabled)',
        shared_preload_libraries: '',
        primary_conninfo: '',
        ssl: 'off',
        work_mem: '4MB',
      },
    ]);
    // also somebody who alters the copy can't make it archive
    await ask(`ALTER SYSTEM SET archive_command = 'touch ${marker}'`);
    await ask('SELECT pg_reload_conf()');
    await stopInstance(input.dataDirectory, { signal });
    const again = await startInstance(input, { signal });
    expect(again.pid).not.toBe(instance.pid);
    await ask('SELECT pg_switch_wal()');
    expect(await ask("SELECT current_setting('archive_command') AS command")).toEqual([{ command: '(disabled)' }]);
    await stopInstance(input.dataDirectory, { signal });
    await expect(stat(marker)).rejects.toThrow('ENOENT');
    expect(await readFile(join(input.dataDirectory, 'postgresql.auto.conf.of-source'), 'utf8')).toContain('77MB');
  });

  test('says in its own words why it died', async () => {
    const input = await made('doomed');
    const settings = { ...input.settings, shared_preload_libraries: 'no_such_library' };
    await expect(startInstance({ ...input, settings }, { signal })).rejects.toMatchObject({
      type: 'RestoreFailed',
      message: expect.stringContaining('could not access file "no_such_library"') as unknown,
    });
    await writeFile(join(input.dataDirectory, 'PG_VERSION'), '9.6\n');
    await expect(startInstance(input, { signal })).rejects.toThrow('database files are incompatible with server');
  });

  test('outlives the worker that started it, and the next one stops it', async () => {
    const input = await made('survivor');
    const inputFile = join(scratch, 'input.json');
    await writeFile(inputFile, JSON.stringify(input));
    const worker = spawn(
      process.execPath,
      ['--import', 'tsx', new URL('starting-worker.ts', import.meta.url).pathname, inputFile],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(worker.stdout, 'data');
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    const { status, pid } = await instanceState(input.dataDirectory);
    expect(status).toBe('ready');
    expect((await startInstance(input, { signal })).pid).toBe(pid);
    expect(await stopInstance(input.dataDirectory, { signal, mode: 'immediate' })).toBe(true);
    // what a crash leaves is not taken for a server that runs
    await writeFile(join(input.dataDirectory, 'postmaster.pid'), `${process.pid.toString()}\n`);
    expect((await instanceState(input.dataDirectory)).status).toBe('stopped');
  });

  test('a server that somebody else started is never touched', async () => {
    const input = await made('other');
    const instance = await startInstance(input, { signal });
    await rm(join(input.dataDirectory, 'holdfast-instance.json'));
    await expect(stopInstance(input.dataDirectory, { signal })).rejects.toMatchObject({ type: 'Busy' });
    await expect(startInstance(input, { signal })).rejects.toMatchObject({ type: 'Busy' });
    process.kill(instance.pid, 'SIGQUIT');
    while ((await instanceState(input.dataDirectory)).pid !== undefined)
      await new Promise((done) => setTimeout(done, 20));
  });

  test('a directory that is not empty, or a path that is too long for a socket, is refused before anything is made', async () => {
    const input = await made('again');
    await expect(
      createInstance({ programs: lent.programs, dataDirectory: input.dataDirectory, runAs, signal }),
    ).rejects.toMatchObject({ type: 'TargetNotEmpty' });
    const socketDirectory = join(scratch, 'x'.repeat(100));
    await expect(startInstance({ ...input, socketDirectory }, { signal })).rejects.toMatchObject({
      type: 'InvalidArgument',
    });
    await expect(stat(socketDirectory)).rejects.toThrow('ENOENT');
    const taken = join(scratch, 'taken');
    await mkdir(taken);
    if (runAs !== undefined) {
      await chown(taken, 0, 0);
      await expect(startInstance({ ...input, socketDirectory: taken }, { signal })).rejects.toMatchObject({
        type: 'InvalidArgument',
      });
    }
  });
});
