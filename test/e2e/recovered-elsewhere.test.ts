import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chown, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { S3Server } from '../../parts/s3-server.ts';
import { makeScratch } from '../../parts/scratch.ts';
import { serverUser } from '../../parts/server-user.ts';
import type { World } from '../../parts/world.ts';
import type { RecoverResult } from '../../src/workflows/recover-run.ts';
import { leftIn, objectsIn } from './bucket.ts';
import { expectClean } from './oracle.ts';
import {
  endSegment,
  leftOfRecoveries,
  note,
  recover,
  recoverTo,
  startArchive,
  startArchiving,
  stopArchiving,
  stopInstance,
  systemOf,
  until,
  type Moment,
} from './recovering.ts';
import { backUp, failureOf } from './runs.ts';

describe('a recovery from S3 of a server with a tablespace', () => {
  let world: World;
  let server: PostgresServer;
  let store: S3Server;
  let scratch: string;
  let fast: string;
  let first: Moment;

  beforeAll(async () => {
    scratch = await makeScratch('spaces', { inMemory: true, owner: serverUser() });
    fast = join(scratch, 'fast');
    await mkdir(fast, { mode: 0o700 });
    const owner = serverUser();
    if (owner !== undefined) await chown(fast, owner.uid, owner.gid);
    const archiving = await startArchiving({ major: 15, repository: 'offsite' });
    ({ world, server } = archiving);
    if (archiving.store === undefined) throw new Error('there is a bucket');
    store = archiving.store;
    await server.psql('postgres', `CREATE TABLESPACE fast LOCATION '${fast}'`);
    await server.psql('postgres', 'CREATE TABLE quick (id int PRIMARY KEY) TABLESPACE fast');
    await server.psql('postgres', 'INSERT INTO quick SELECT generate_series(1, 1000)');
    await world.startWorker();
    await startArchive(world);
    await backUp(world, 'base');
    first = await note(server, 'first');
    await note(server, 'second');
    const segment = await endSegment(server);
    const key = `main/wal/${await systemOf(server)}/${segment.slice(0, 8)}/${segment}.zst`;
    await until(async () => (await objectsIn(store)).includes(key));
  });
  afterAll(async () => {
    await stopArchiving({ world });
    await rm(scratch, { recursive: true, force: true });
  });

  test('is refused unless the tablespace gets a directory of its own', async () => {
    const [without, same] = await Promise.all([
      recover(world, 'latest').then(failureOf),
      recover(world, 'latest', { tablespaces: { fast } }).then(failureOf),
    ]);
    expect(without).toMatchObject({ type: 'PlanHopeless' });
    expect(without.message).toContain(`tablespace 'fast' (${fast}) has no new directory`);
    expect(same).toMatchObject({ type: 'PlanHopeless' });
    expect(same.message).toContain("where the live server's tablespace 'fast' lies");
    expect(await leftOfRecoveries(world)).toEqual([]);
  });

  test('stops at its target, and what the copy drops stays in the source', async () => {
    const own = join(scratch, 'copy');
    const copy = await recoverTo(world, { time: first.at }, { tablespaces: { fast: own } });
    expect(await copy.notes()).toBe('first');
    expect(await copy.ask("SELECT pg_tablespace_location(oid) FROM pg_tablespace WHERE spcname = 'fast'")).toBe(own);
    await copy.handle.signal('promote', { by: 'alice', reason: 'to see what it may do' });
    const { directory, outcome } = (await copy.handle.result()) as RecoverResult;
    expect(outcome).toBe('promoted');
    expect(await copy.ask('SELECT sum(id) FROM quick')).toBe('500500');
    await copy.ask('DROP TABLE quick');
    await copy.ask('CHECKPOINT');
    await copy.ask('DROP TABLESPACE fast');
    expect(await readdir(fast)).toHaveLength(1);
    await server.psql('postgres', 'CHECKPOINT');
    await server.restart();
    expect(await server.psql('postgres', 'SELECT sum(id) FROM quick')).toBe('500500');
    await stopInstance(server, directory);
  });

  test('that is thrown away takes its own tablespace with it, and nothing else', async () => {
    const own = join(scratch, 'another');
    const copy = await recoverTo(world, 'latest', { tablespaces: { fast: own } });
    expect(await copy.notes()).toBe('first,second');
    expect(await copy.throwAway()).toMatchObject({ outcome: 'thrown away' });
    expect(await readdir(scratch)).toEqual(['copy', 'fast']);
    expect(await server.psql('postgres', 'SELECT sum(id) FROM quick')).toBe('500500');
    await world.client.workflow.getHandle('wal/main').cancel();
    await expectClean(world, server);
    expect(await leftIn(store)).toEqual([]);
  });
});
