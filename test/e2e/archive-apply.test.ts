import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { chown, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { makeScratch } from '../../parts/scratch.ts';
import { serverUser } from '../../parts/server-user.ts';
import type { World } from '../../parts/world.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { endSegment, note, recoverTo, startArchiving, stopArchiving, until, untilArchived } from './recovering.ts';
import { backUp } from './runs.ts';

/** One cluster of which apply knows two names: its log is streamed under one, taken over from a directory under the other. */
describe('apply', () => {
  let world: World;
  let server: PostgresServer;
  let scratch: string;
  let directory: string;

  beforeAll(async () => {
    scratch = await makeScratch('archive', { inMemory: true, owner: serverUser() });
    directory = join(scratch, 'wal');
    await mkdir(directory, { mode: 0o700 });
    const owner = serverUser();
    if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
    ({ world, server } = await startArchiving({
      major: 15,
      initdb: ['--wal-segsize=1'],
      settings: { archive_mode: 'on', archive_command: `cp %p ${directory}/%f` },
    }));
    await configure({ main: { takeOver: { directory } }, streamed: {} });
    await world.startWorker();
  });
  afterAll(async () => {
    await stopArchiving({ world });
    await rm(scratch, { recursive: true, force: true });
  });

  /** @param archived what each cluster says of its log; null: nothing */
  const configure = (archived: Readonly<Record<string, object | null>>) =>
    world.configure({
      clusters: Object.fromEntries(
        Object.entries(archived).map(([name, wal]) => [
          name,
          {
            ...clusterAt(server, 'main'),
            ...(wal === null ? {} : { wal: { repository: 'nas', maxAge: '1h', ...wal } }),
          },
        ]),
      ),
      policies: { base: { cluster: 'main', method: 'base', repository: 'nas', window: '7d' } },
    });
  const statusOf = async (cluster: string) =>
    (await world.client.workflow.getHandle(`wal/${cluster}`).describe()).status.name;
  const slots = () => server.psql('postgres', 'SELECT count(*) FROM pg_replication_slots');
  const apply = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await world.holdfast('apply', ...args);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    return stdout;
  };

  async function goOnWriting(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await server.psql('postgres', "SELECT pg_logical_emit_message(false, 'test', 'goes on')");
      await endSegment(server);
      await sleep(500);
    }
  }

  test('starts the archive of each cluster that wants one, once', async () => {
    expect(await apply()).toMatch(/started +WAL archive of cluster main/);
    expect(await apply()).toMatch(/unchanged +WAL archive of cluster main/);
    expect(await statusOf('main')).toBe('RUNNING');
    await until(async () => (await slots()) === '1');
  });

  test('what archive_command leaves is taken over, and can be recovered from', async () => {
    // A file is believed to be whole once there is a newer one.
    const ending = new AbortController();
    const writing = goOnWriting(ending.signal);
    try {
      await backUp(world, 'base');
      await note(server, 'first');
      const segment = await untilArchived(world, server);
      await untilArchived(world, server, 'streamed');
      await until(async () => (await readdir(directory)).every((name) => name.slice(0, 24) > segment));
    } finally {
      ending.abort();
      await writing;
    }
    const copy = await recoverTo(world, 'latest');
    expect(await copy.notes()).toBe('first');
    await copy.throwAway();
    expect(await server.psql('postgres', 'SELECT failed_count FROM pg_stat_archiver')).toBe('0');
  });

  test('stops the archives that nobody wants any more only when told to, and leaves no slot', async () => {
    await configure({ main: null, streamed: null });
    expect(await apply()).toMatch(/orphaned +WAL archive of cluster streamed/);
    expect(await statusOf('streamed')).toBe('RUNNING');
    expect(await apply('--prune')).toMatch(/stopped +WAL archive of cluster streamed/);
    await until(async () => (await statusOf('streamed')) !== 'RUNNING' && (await statusOf('main')) !== 'RUNNING');
    await until(async () => (await slots()) === '0');
    await expectClean(world, server);
  });
});
