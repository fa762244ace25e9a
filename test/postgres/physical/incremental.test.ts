import { execFile } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { IncrementalImpossible, type ParentBackup } from '../../../src/postgres/physical/base-backup.ts';
import {
  failureOf,
  fileSinks,
  requestOf,
  startCopy,
  take,
  unpack,
  verifyBackup,
  walsendersOf,
  type Taken,
} from './taking.ts';
import { takeBaseBackup } from '../../../src/postgres/physical/base-backup.ts';

const run = promisify(execFile);

const parentOf = ({ taken, directory }: Taken, id: string): ParentBackup => ({
  id,
  systemIdentifier: taken.server.systemIdentifier,
  stopTimeline: taken.stopTimeline,
  readManifest: () => createReadStream(join(directory, taken.backupManifest.name)),
});

describe.each(availableMajors().filter((major) => major >= 17))('increments on postgresql %i', (major) => {
  let server: PostgresServer;
  let scratch: string;
  let full: Taken;

  beforeAll(async () => {
    scratch = await makeScratch(`increments${String(major)}`, { owner: serverUser() });
    server = await startPostgres({ major, settings: { summarize_wal: 'on', full_page_writes: 'on' } });
    await server.psql('postgres', `CREATE TABLE t AS SELECT n, md5(n::text) AS t FROM generate_series(1, 200000) n`);
    full = await take(server, join(scratch, 'full'), { wal: true });
  });

  afterAll(async () => {
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  it('a chain of them is put together by pg_combinebackup, verified and started', async () => {
    await server.psql('postgres', `UPDATE t SET t = 'first' WHERE n <= 1000`);
    const first = await take(server, join(scratch, 'first'), { wal: true, parent: parentOf(full, 'full') });
    await server.psql('postgres', `UPDATE t SET t = 'second' WHERE n > 199000`);
    const second = await take(server, join(scratch, 'second'), { wal: true, parent: parentOf(first, 'first') });
    expect([full, first, second].map(({ taken }) => taken.type)).toEqual(['full', 'incremental', 'incremental']);
    const bytes = ({ taken }: Taken) => taken.archives.reduce((sum, { stored }) => sum + stored.bytes, 0);
    expect(bytes(second)).toBeLessThan(bytes(full) / 2);
    const directories: string[] = [];
    for (const each of [full, first, second]) directories.push(await unpack(each, `${each.directory}-data`));
    const whole = join(scratch, 'whole');
    await run(join(server.binDir, 'pg_combinebackup'), [...directories, '-o', whole]);
    expect((await verifyBackup(server, whole, '-n')).stdout).toContain('backup successfully verified');
    const owner = serverUser();
    if (owner !== undefined) await run('chown', ['-R', `${String(owner.uid)}:${String(owner.gid)}`, whole]);
    const copy = await startCopy(major, whole);
    try {
      expect(await copy.psql('SELECT t, count(*) FROM t WHERE length(t) < 10 GROUP BY 1 ORDER BY 1')).toBe(
        'first|1000\nsecond|1000',
      );
    } finally {
      await copy.stop();
    }
  });

  const refusalOf = async (parent: ParentBackup, name: string) => {
    const sinks = fileSinks(scratch);
    const error = await failureOf(
      takeBaseBackup({ ...requestOf(server, sinks), parent, open: (file) => sinks.open(`${name}-${file}`) }),
    );
    expect(error).toBeInstanceOf(IncrementalImpossible);
    expect((error as Error).message).toContain(parent.id);
    expect(await walsendersOf(server)).toBe('0');
    return (error as IncrementalImpossible).obstacle;
  };

  it('that PostgreSQL can not take name what is in the way, so that a full backup can be taken instead', async () => {
    const parent = parentOf(full, 'full');
    expect(await refusalOf({ ...parent, systemIdentifier: '7000000000000000000' }, 'system')).toBe('systemIdentifier');
    expect(await refusalOf({ ...parent, stopTimeline: 2 }, 'timeline')).toBe('timeline');
    const text = (content: string) =>
      async function* () {
        yield await Promise.resolve(Buffer.from(content));
      };
    expect(await refusalOf({ ...parent, readManifest: text('{"not": "a manifest"}') }, 'nonsense')).toBe('server');
    await server.psql('postgres', `ALTER SYSTEM SET summarize_wal = off; `);
    await server.psql('postgres', 'SELECT pg_reload_conf()');
    expect(await refusalOf(parent, 'off')).toBe('summarizeWal');
    const summaries = join(server.dataDir, 'pg_wal', 'summaries');
    for (const name of await readdir(summaries)) await rm(join(summaries, name));
    // What has been summarized is remembered in memory alone.
    await server.psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal(); CHECKPOINT');
    await server.psql('postgres', 'ALTER SYSTEM SET summarize_wal = on');
    await server.restart();
    expect(await refusalOf(parent, 'summaries')).toBe('summaries');
  });

  it("end with the manifest's own error where it can't be read", async () => {
    await server.psql('postgres', 'ALTER SYSTEM RESET summarize_wal');
    const reason = new Error('the repository went away');
    const readManifest = async function* () {
      yield await Promise.resolve(Buffer.from('{'));
      throw reason;
    };
    const sinks = fileSinks(scratch);
    const taking = takeBaseBackup({
      ...requestOf(server, sinks),
      parent: { ...parentOf(full, 'full'), readManifest },
      open: (file) => sinks.open(`unread-${file}`),
    });
    expect(await failureOf(taking)).toBe(reason);
  });
});

it('an increment on postgresql 15 is refused by its version', async () => {
  const server = await startPostgres({ major: 15 });
  const scratch = await makeScratch('increment15');
  try {
    const full = await take(server, join(scratch, 'full'));
    const error = await failureOf(take(server, join(scratch, 'next'), { parent: parentOf(full, 'full') }));
    expect(error).toMatchObject({ type: 'PostgresRefused', obstacle: 'version' });
  } finally {
    await server.stop();
    await rm(scratch, { recursive: true, force: true });
  }
});
