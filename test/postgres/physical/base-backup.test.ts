import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chown, mkdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { findTool } from '../../../src/process/environment.ts';
import { parseLsn } from '../../../src/domain/wal.ts';
import { findCompressors } from '../../../src/streams/compress.ts';
import { startCopy, take, unpack, verifyBackup, type Taken } from './taking.ts';

const run = promisify(execFile);

describe.each(availableMajors().filter((major) => major >= 15))('a base backup of postgresql %i', (major) => {
  let server: PostgresServer;
  let scratch: string;
  let places: string;
  const inBase = 'odd "x"\n{$(x)}\\ spaced';

  beforeAll(async () => {
    scratch = await makeScratch(`base${String(major)}`);
    places = await makeScratch(`places${String(major)}`, { owner: serverUser() });
    server = await startPostgres({ major, initdb: ['--data-checksums'], settings: { full_page_writes: 'on' } });
    const owner = serverUser();
    for (const name of ['plain', inBase]) {
      await mkdir(join(places, name));
      if (owner !== undefined) await chown(join(places, name), owner.uid, owner.gid);
    }
    const quoted = join(places, inBase).replaceAll('\\', '\\\\');
    await server.psql('postgres', `CREATE TABLESPACE "sp ""a"" ce" LOCATION E'${quoted}'`);
    await server.psql('postgres', `CREATE TABLESPACE plain LOCATION '${join(places, 'plain')}'`);
    await server.psql(
      'postgres',
      `CREATE TABLE here AS SELECT n, md5(n::text) AS t FROM generate_series(1, 20000) n;
       CREATE TABLE there TABLESPACE plain AS SELECT * FROM here;
       CREATE TABLE odd TABLESPACE "sp ""a"" ce" AS SELECT * FROM here`,
    );
  });

  afterAll(async () => {
    await server.stop();
    for (const each of [scratch, places]) await rm(each, { recursive: true, force: true });
  });

  const sums = 'SELECT sum(hashtext(t)) FROM here UNION ALL SELECT sum(hashtext(t)) FROM there';

  it('with its WAL, taken while pgbench writes, is verified and started by stock tools', async () => {
    const psqlEnv = { ...process.env, PGPASSWORD: server.password };
    const bench = (...args: string[]) =>
      run(
        join(server.binDir, 'pgbench'),
        ['-h', server.host, '-p', String(server.port), '-U', 'postgres', ...args, 'postgres'],
        { env: psqlEnv },
      );
    await bench('-i', '-q', '-s', '5');
    const writing = bench('-c', '4', '-T', '4', '-n');
    const phases = new Set<string>();
    let last = { bytes: 0, total: 0, storedBytes: 0 };
    const backup = await take(server, join(scratch, 'with-wal'), {
      wal: true,
      onProgress: (progress) => {
        phases.add(progress.phase);
        last = progress;
      },
    });
    await writing;
    const { taken } = backup;
    expect([...phases]).toEqual(['preparing', 'checkpoint', 'copying', 'finishing']);
    expect(last.bytes).toBeGreaterThan(50_000_000);
    expect(taken).toMatchObject({ type: 'full', startTimeline: 1, stopTimeline: 1, walIncluded: true });
    expect(parseLsn(taken.stopLsn)).toBeGreaterThan(parseLsn(taken.startLsn));
    expect(taken.serverFinishedAt > taken.serverStartedAt).toBe(true);
    expect(taken.server).toMatchObject({ inRecovery: false, segmentBytes: 16 * 1024 * 1024, dataChecksums: true });
    expect(taken.settings).toMatchObject({
      max_connections: '100',
      wal_level: 'replica',
      config_file: expect.stringContaining('postgresql.conf'),
    });
    expect(taken.databases.map(({ name }) => name)).toEqual(['postgres', 'template0', 'template1']);
    expect(taken.tablespaces.map(({ name, location }) => [name, location])).toEqual(
      expect.arrayContaining([
        ['plain', join(places, 'plain')],
        ['sp "a" ce', join(places, inBase)],
      ]),
    );
    expect(taken.archives.map(({ compression }) => compression)).toEqual(['zstd', 'zstd', 'zstd']);
    expect(taken.archives.at(-1)).toMatchObject({ name: 'base.tar.zst', tablespace: null });
    for (const { name, plainBytes, stored } of taken.archives) {
      const bytes = await readFile(join(backup.directory, name));
      expect(stored).toEqual({ bytes: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') });
      const { stdout } = await run('bash', ['-c', `zstd -dc "$0" | wc -c`, join(backup.directory, name)]);
      expect(plainBytes).toBe(Number(stdout));
    }
    // Tablespaces under new roofs: nothing of the copy may touch the live ones.
    const to = join(places, 'copy');
    await unpack(backup, to, (oid) => join(places, `copy-${String(oid)}`));
    await verifyTree(backup, to);
    const map = await readFile(join(to, 'tablespace_map'), 'utf8');
    for (const { oid } of taken.tablespaces) expect(map).toContain(String(oid));
    await rm(join(to, 'tablespace_map'));
    for (const { oid } of taken.tablespaces)
      await run('ln', ['-sfn', join(places, `copy-${String(oid)}`), join(to, 'pg_tblspc', String(oid))]);
    const copy = await startCopy(major, to);
    try {
      expect(await copy.psql(sums)).toBe(await server.psql('postgres', sums));
      expect(await copy.psql('SELECT count(*) FROM odd')).toBe('20000');
      expect(
        await copy.psql('SELECT sum(abalance) = (SELECT sum(delta) FROM pgbench_history) FROM pgbench_accounts'),
      ).toBe('t');
    } finally {
      await copy.stop();
      await rm(to, { recursive: true, force: true });
    }
  });

  /** pg_verifybackup follows pg_tblspc, so the links have to be there. */
  async function verifyTree({ taken }: Taken, to: string) {
    for (const { oid } of taken.tablespaces)
      await run('ln', ['-sfn', join(places, `copy-${String(oid)}`), join(to, 'pg_tblspc', String(oid))]);
    expect((await verifyBackup(server, to, '-n')).stdout).toContain('backup successfully verified');
  }

  it('holds the effective configuration, and says where each file lay', async () => {
    const backup = await take(server, join(scratch, 'conf'));
    const { configuration, warnings } = backup.taken;
    expect(warnings).toEqual([]);
    expect(configuration?.files).toEqual(expect.arrayContaining(['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']));
    const { stdout } = await run('tar', ['-tvf', join(backup.directory, 'conf.tar')]);
    for (const line of stdout.trimEnd().split('\n')) expect(line).toMatch(/^-rw------- /);
    const { stdout: text } = await run('tar', ['-xOf', join(backup.directory, 'conf.tar'), 'postgresql.conf']);
    expect(text).toBe(await readFile(join(server.dataDir, 'postgresql.conf'), 'utf8'));
    const { stdout: index } = await run('tar', ['-xOf', join(backup.directory, 'conf.tar'), 'FILES']);
    expect(index).toContain(`pg_hba.conf\t${join(server.dataDir, 'pg_hba.conf')}\n`);
  });

  it('can be compressed by the worker, or not at all', async () => {
    const { gzip, zstd } = await findCompressors(findTool, new AbortController().signal);
    for (const [name, compression] of [
      ['gzip', { by: 'worker', compressor: gzip }],
      ['zstd', { by: 'worker', compressor: zstd ?? gzip }],
      ['none', { by: 'none' }],
    ] as const) {
      const backup = await take(server, join(scratch, name), { compression, wal: true });
      expect(backup.taken.archives.map((archive) => archive.compression)).toEqual([name, name, name]);
      const to = await unpack(backup, join(places, `by-${name}`));
      await run('rm', ['-rf', join(to, 'pg_tblspc')]);
      await mkdir(join(to, 'pg_tblspc'));
      for (const { oid } of backup.taken.tablespaces)
        await run('ln', ['-sfn', `${to}-${String(oid)}`, join(to, 'pg_tblspc', String(oid))]);
      expect((await verifyBackup(server, to, '-n')).stdout).toContain('backup successfully verified');
      const base = backup.taken.archives.at(-1);
      expect((await stat(join(backup.directory, base?.name ?? ''))).size).toBe(base?.stored.bytes);
      if (name === 'none') expect(base?.plainBytes).toBe(base?.stored.bytes);
    }
  });
});
