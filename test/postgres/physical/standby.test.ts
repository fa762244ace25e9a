import { execFile } from 'node:child_process';
import { appendFile, mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { takeBaseBackup } from '../../../src/postgres/physical/base-backup.ts';
import { until } from '../../process/processes.ts';
import { failureOf, fileSinks, requestOf, startCopy, take, unpack, verifyBackup, type Copy } from './taking.ts';

const run = promisify(execFile);

describe('a standby', () => {
  let primary: PostgresServer;
  let standby: Copy;
  let scratch: string;

  beforeAll(async () => {
    scratch = await makeScratch('standby', { owner: serverUser() });
    primary = await startPostgres({ major: 17, settings: { full_page_writes: 'on', wal_log_hints: 'on' } });
    await primary.psql('postgres', `CREATE TABLE t AS SELECT n, md5(n::text) AS t FROM generate_series(1, 100000) n`);
    const base = await take(primary, join(scratch, 'base'), { wal: true });
    const data = await unpack(base, join(scratch, 'data'));
    await writeFile(join(data, 'standby.signal'), '');
    const conninfo = `host=${primary.socketDir} port=${String(primary.port)} user=postgres`;
    await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${conninfo}'\n`);
    const owner = serverUser();
    if (owner !== undefined) await run('chown', ['-R', `${String(owner.uid)}:${String(owner.gid)}`, data]);
    standby = await startCopy(17, data);
  });

  afterAll(async () => {
    await standby.stop();
    await primary.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  async function untilReplayed() {
    const written = await primary.psql('postgres', 'SELECT pg_current_wal_lsn()');
    await until(
      'the standby has it',
      async () => (await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${written}'`)) === 't',
    );
  }

  const address = () => ({ ...standby, user: primary.user, password: primary.password });

  it('gives a base backup that says where it comes from, and starts', async () => {
    await primary.psql('postgres', `INSERT INTO t VALUES (0, 'late'); CHECKPOINT`);
    await untilReplayed();
    const backup = await take(address(), join(scratch, 'from-standby'), { wal: true });
    expect(backup.taken.server.inRecovery).toBe(true);
    expect(backup.taken.warnings).toEqual([]);
    const data = await unpack(backup, join(scratch, 'copy'));
    expect((await verifyBackup(primary, data, '-n')).stdout).toContain('backup successfully verified');
    await rm(join(data, 'standby.signal'), { force: true });
    await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = ''\n`);
    const copy = await startCopy(17, data);
    try {
      expect(await copy.psql('SELECT count(*) FROM t')).toBe('100001');
    } finally {
      await copy.stop();
    }
  });

  it('that is promoted meanwhile gives none, and says so', async () => {
    // More than fits on the way to whoever doesn't read: else the server has ended its backup before it is promoted.
    // After a checkpoint, or the standby has its pages in memory only, and sends a file of zeros.
    await primary.psql('postgres', 'CREATE TABLE noise AS SELECT gen_random_uuid() FROM generate_series(1, 2000000)');
    await primary.psql('postgres', 'CHECKPOINT');
    await untilReplayed();
    let promoted: Promise<unknown> | undefined;
    const directory = join(scratch, 'promoted');
    await mkdir(directory);
    const sinks = fileSinks(directory, async (name) => {
      if (name === 'base.tar.zst') await (promoted ??= standby.psql('SELECT pg_promote()'));
    });
    const error = await failureOf(takeBaseBackup(requestOf(address(), sinks)));
    expect(error).toMatchObject({
      type: 'PostgresUnavailable',
      message: expect.stringContaining('was promoted while its base backup was taken'),
    });
    expect(sinks.aborted).not.toEqual([]);
  });
});
