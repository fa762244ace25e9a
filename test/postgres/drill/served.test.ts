import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { ChildProcess } from 'node:child_process';
import { chown, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../../parts/free-port.ts';
import { end, hasEnded, raise } from '../../../parts/offspring.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { connect, withSession, type Server } from '../../../src/postgres/connection.ts';
import { wishOf, type ServerWish } from '../../../src/postgres/drill/scratch-server.ts';
import { initdbFailed, servedServer } from '../../../src/postgres/drill/served.ts';
import { newCredential } from '../../../src/postgres/drill/verifier.ts';
import { databaseRecord, manifest } from '../../domain/samples.ts';
import { lentServerPrograms, type LentPrograms } from '../instance/programs.ts';

/** What a pod is told to run, run by a shell of this machine. */
describe("a drill's server that is asked over the network", () => {
  let lent: LentPrograms;
  let scratch: string;
  let counter = 0;
  let child: ChildProcess | undefined;

  beforeAll(async () => {
    [lent, scratch] = await Promise.all([
      lentServerPrograms(15),
      makeScratch('served', { inMemory: true, owner: serverUser() }),
    ]);
  });
  afterEach(async () => {
    if (child !== undefined) await end(child, 'SIGTERM');
  });
  afterAll(async () => {
    await lent.giveBack();
    await rm(scratch, { recursive: true, force: true });
  });

  const wish: ServerWish = {
    ...wishOf(manifest({ databases: [databaseRecord('template1'), databaseRecord('app')] }), 2),
    versionNum: 150_000,
    superuser: 'the boss',
    preload: ['pg_stat_statements', 'nowhere_to_be_found'],
  };

  const serve = async (wanted: ServerWish, patienceSeconds: number) => {
    counter += 1;
    const directory = join(scratch, String(counter));
    const owner = serverUser();
    await mkdir(directory, { mode: 0o700 });
    if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    const { password, verifier } = newCredential();
    const port = await freePort();
    const { script, args, environment } = servedServer(wanted, verifier, { directory, port, patienceSeconds });
    const logFile = join(scratch, `${String(counter)}.log`);
    child = raise({
      command: '/bin/sh',
      args: ['-c', script, 'drill', ...args],
      environment: { PATH: `${lent.binDir}:/usr/bin:/bin`, ...environment },
      user: owner?.name,
      logFile,
      atOurDeath: 'KILL',
    });
    const server: Server = {
      ...{ host: '127.0.0.1', port, user: wanted.superuser, password },
      ...{ database: 'postgres', sslmode: 'disable' },
    };
    return { server, directory, child, log: () => readFile(logFile, 'utf8') };
  };

  const reached = async ({ server, log }: Pick<Awaited<ReturnType<typeof serve>>, 'server' | 'log'>) => {
    for (;;) {
      try {
        return await connect(server);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== 'PostgresUnavailable') throw error;
        if (child !== undefined && hasEnded(child)) throw new Error(await log(), { cause: error });
      }
      await sleep(100);
    }
  };

  test('lets in its superuser by the password that its verifier was made from, and nobody else', async () => {
    const { server, directory, log } = await serve(wish, 300);
    const session = await reached({ server, log });
    const [found] = await session.query(
      `SELECT current_user AS "user", pg_encoding_to_char(encoding) AS encoding, datcollate AS collate,
         current_setting('shared_preload_libraries') AS preload, current_setting('archive_mode') AS archive
       FROM pg_database WHERE datname = 'template1'`,
    );
    expect(found).toEqual({
      ...{ user: 'the boss', encoding: 'UTF8', collate: 'C.UTF-8' },
      ...{ preload: 'pg_stat_statements', archive: 'off' },
    });
    await session.query(`CREATE TABLESPACE second LOCATION '${directory}/tablespaces/2'`);
    await session.query(`CREATE ROLE other SUPERUSER LOGIN PASSWORD 'known'`);
    await session.query(`ALTER SYSTEM SET archive_mode = 'on'`);
    await session.close();
    const refused = { name: 'PostgresRefused' };
    await expect(connect({ ...server, password: 'wrong' })).rejects.toMatchObject(refused);
    await expect(connect({ ...server, user: 'other', password: 'known' })).rejects.toMatchObject(refused);
  });

  test('ends by itself once nobody is connected any more, as after its worker was killed', async () => {
    const { server, child: own, log } = await serve(wish, 5);
    const session = await reached({ server, log });
    await sleep(7_000);
    expect(await session.query('SELECT 1 AS one')).toEqual([{ one: 1 }]);
    await session.close();
    while (!hasEnded(own)) await sleep(100);
    expect(own.exitCode).toBe(75);
    expect(await log()).toContain('nobody was connected for 5 seconds');
  });

  test('ends when it is told to, and with its last words where a process of it is killed', async () => {
    const told = await serve(wish, 300);
    await (await reached(told)).close();
    await end(told.child, 'SIGTERM');
    expect(told.child.exitCode).toBe(0);
    const { server, child: own, log } = await serve(wish, 300);
    const session = await reached({ server, log });
    const [row] = await session.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
    await withSession(server, {}, () => {
      process.kill(row?.pid ?? 0, 'SIGKILL');
      return Promise.resolve();
    });
    while (!hasEnded(own)) await sleep(100);
    await session.close();
    expect(own.exitCode).not.toBe(0);
    expect(await log()).toContain('was terminated by signal 9');
  });

  test('that lacks a locale says so and ends', async () => {
    const locale = { ...wish.locale, collate: 'xx_XX.UTF-8', ctype: 'xx_XX.UTF-8' };
    const { child: own, log } = await serve({ ...wish, locale }, 300);
    while (!hasEnded(own)) await sleep(100);
    expect(own.exitCode).toBe(initdbFailed);
    expect(await log()).toContain('invalid locale name "xx_XX.UTF-8"');
  });
});

test('a superuser whose name initdb would stumble over is refused', () => {
  const wish = { ...wishOf(manifest(), 0), superuser: 'the "boss"' };
  expect(() => servedServer(wish, 'v', { directory: '/drill', port: 5432, patienceSeconds: 300 })).toThrow(
    /superuser "the \\"boss\\"" has a quote/,
  );
});

test('nothing that a pod is told is the password', () => {
  const { password, verifier } = newCredential();
  const wish = wishOf(manifest(), 0);
  const served = servedServer(wish, verifier, { directory: '/drill', port: 5432, patienceSeconds: 300 });
  expect(JSON.stringify(served)).not.toContain(password);
});
