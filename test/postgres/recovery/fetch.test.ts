import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { serverUser } from '../../../parts/server-user.ts';
import type { BaseManifest } from '../../../src/domain/base-manifest.ts';
import type { SegmentId } from '../../../src/domain/wal.ts';
import { fetchBase } from '../../../src/postgres/recovery/fetch.ts';
import { promote } from '../../../src/postgres/recovery/promote.ts';
import { beginRecovery } from '../../../src/postgres/recovery/recover.ts';
import { verifyFetched } from '../../../src/postgres/recovery/verify-fetched.ts';
import { ask, away, fetched, fetchInput, home, recoveryInput, signal } from './recovering.ts';
import { startSource, type Source } from './source.ts';

const run = promisify(execFile);
const runAs = serverUser();

describe.each([15, 17] as const)('fetching a base backup of PostgreSQL %i', (major) => {
  let source: Source;
  let base: BaseManifest;
  let last: SegmentId;

  beforeAll(async () => {
    source = await startSource(major);
    const sql = (text: string) => source.server.psql('postgres', text);
    await sql(
      `CREATE TABLE big AS SELECT n, md5(n::text) AS text FROM generate_series(1, 60000) AS n; CREATE TABLE t (n int)`,
    );
    base = await source.takeBase('20261121-020000');
    last = await source.archiveNow();
  });
  afterAll(() => source.end());

  const doom = (file: string, work: string) =>
    spawn(process.execPath, ['--import', 'tsx', new URL('doomed-worker.ts', import.meta.url).pathname, work, file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });

  async function doomedInput(directory: string): Promise<string> {
    const file = join(source.scratch, `doomed-${String(Math.random())}.json`);
    const recovery = recoveryInput(source, directory, base, { kind: 'latest' }, last);
    const doomed = {
      repository: join(source.scratch, 'repository'),
      archive: source.archiveDirectory,
      fetch: fetchInput(source, directory, [base]),
      recovery: { ...recovery, last: { timeline: last.timeline, number: String(last.number) } },
    };
    await writeFile(
      file,
      JSON.stringify(doomed, (key, value: unknown) => (key === 'signal' ? undefined : value)),
    );
    return file;
  }

  test("gives exactly the files that PostgreSQL recorded, the instance's own, and nothing for others to read", async () => {
    const directory = await fetched(source, 'plain', base);
    const data = join(directory, 'data');
    await verifyFetched({ programs: source.lent.programs, dataDirectory: data, runAs, signal });
    const found = await stat(join(data, 'global/pg_control'));
    expect([found.mode & 0o777, found.uid]).toEqual([0o600, runAs?.uid ?? process.getuid?.()]);
    expect((await stat(data)).mode & 0o777).toBe(0o700);
    await writeFile(join(data, 'base', 'stray'), 'x');
    await expect(
      verifyFetched({ programs: source.lent.programs, dataDirectory: data, runAs, signal }),
    ).rejects.toMatchObject({ type: 'VerificationFailed', message: expect.stringContaining('stray') as unknown });
    await away(directory);
  });

  test('goes on where a killed worker was, and does not write again what is right', async () => {
    const directory = await home(source, 'killed');
    const worker = doom(await doomedInput(directory), 'fetch');
    await once(worker.stdout, 'data');
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    const data = join(directory, 'data');
    expect(existsSync(join(data, 'global/pg_control'))).toBe(false);
    const there = await filesBelow(data);
    expect(there.length).toBeGreaterThan(10);
    const before = new Map(await Promise.all(there.map(async (file) => [file, (await stat(file)).ino] as const)));
    // one of them isn't what was written
    const sizes = await Promise.all(there.map(async (file) => (await stat(file)).size));
    const spoiled = there.find((file, index) => file.includes('/base/') && (sizes[index] ?? 0) > 8_000) ?? '';
    await writeFile(spoiled, 'x'.repeat((await stat(spoiled)).size));
    await fetchBase(fetchInput(source, directory, [base]));
    await verifyFetched({ programs: source.lent.programs, dataDirectory: data, runAs, signal });
    let same = 0;
    for (const [file, ino] of before) if (existsSync(file) && (await stat(file)).ino === ino) same += 1;
    expect(same).toBeGreaterThan(before.size * 0.8);
    expect((await fetchBase(fetchInput(source, directory, [base]))).bytes).toBe(0);
    await away(directory);
  });

  test('a worker killed while it serves WAL leaves PostgreSQL waiting, and the next one serves on', async () => {
    const directory = await fetched(source, 'serving', base);
    await source.server.psql('postgres', 'INSERT INTO t VALUES (1)');
    for (let turn = 0; turn < 6; turn += 1) {
      await source.server.psql('postgres', `INSERT INTO t VALUES (${String(turn + 2)})`);
      last = await source.archiveNow();
    }
    const worker = doom(await doomedInput(directory), 'recover');
    await once(worker.stdout, 'data');
    worker.kill('SIGKILL');
    await once(worker, 'exit');
    const waiting = await readFile(join(directory, 'work', 'server.log'), 'utf8');
    expect(waiting).not.toContain('archive recovery complete');
    const reached = await beginRecovery(recoveryInput(source, directory, base, { kind: 'latest' }, last));
    expect(await ask(reached, 'SELECT count(*) FROM public.t')).toEqual(['7']);
    await away(directory);
  });

  test('a directory that is not empty, or of another recovery, is refused and left as it is', async () => {
    const directory = await home(source, 'taken');
    const data = join(directory, 'data');
    await mkdir(data);
    await writeFile(join(data, 'precious'), 'x');
    await expect(fetchBase(fetchInput(source, directory, [base]))).rejects.toMatchObject({ type: 'TargetNotEmpty' });
    expect(await readdir(data)).toEqual(['precious']);
    await rm(join(data, 'precious'));
    await fetchBase(fetchInput(source, directory, [base]));
    const other = { ...base, id: '20261121-030000' };
    await expect(fetchBase(fetchInput(source, directory, [other]))).rejects.toMatchObject({ type: 'TargetNotEmpty' });
    await away(directory);
  });

  test('damaged bytes are refused by the name of their object, and never become a data directory', async () => {
    const directory = await home(source, 'damaged');
    const input = fetchInput(source, directory, [base]);
    const [archive] = base.archives;
    const flipped: typeof input.source = {
      async *read(key, range, reading) {
        let isFirst = key === archive?.key;
        for await (const chunk of source.repository.read(key, range, reading)) {
          const copy = Buffer.from(chunk);
          if (isFirst) copy[copy.length - 5] = (copy[copy.length - 5] ?? 0) ^ 1;
          isFirst = false;
          yield copy;
        }
      },
    };
    await expect(fetchBase({ ...input, source: flipped })).rejects.toMatchObject({
      type: expect.stringMatching(/ObjectDamaged|ToolFailed/) as unknown,
    });
    expect(existsSync(join(directory, 'data/global/pg_control'))).toBe(false);
    await fetchBase(input);
    await verifyFetched({ programs: source.lent.programs, dataDirectory: input.dataDirectory, runAs, signal });
    await away(directory);
  });

  test('a full disk is told as such, and with more room it goes on', async () => {
    const directory = await home(source, 'full');
    const data = join(directory, 'data');
    await mkdir(data);
    await run('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', data]);
    try {
      await expect(fetchBase(fetchInput(source, directory, [base]))).rejects.toMatchObject({
        type: 'StoreFull',
        message: expect.stringContaining(data) as unknown,
      });
      await run('mount', ['-o', 'remount,size=200m', data]);
      await fetchBase(fetchInput(source, directory, [base]));
      await verifyFetched({ programs: source.lent.programs, dataDirectory: data, runAs, signal });
      // a mount point is emptied, not removed
      await away(directory);
      expect(await readdir(data)).toEqual([]);
    } finally {
      await run('umount', [data]);
    }
  });

  test('a copy has tablespaces of its own, and dropping its tables leaves the source as it is', async () => {
    const sql = (text: string) => source.server.psql('postgres', text);
    const location = await home(source, 'space-of-source');
    await sql(`CREATE TABLESPACE space LOCATION '${location}'`);
    await sql('CREATE TABLE spaced TABLESPACE space AS SELECT generate_series(1, 1000) AS n');
    const oid = await sql("SELECT oid FROM pg_tablespace WHERE spcname = 'space'");
    const taken = await source.takeBase('20261121-040000');
    const end = await source.archiveNow();
    const directory = await home(source, 'spaced');
    const input = fetchInput(source, directory, [taken]);
    await expect(fetchBase(input)).rejects.toMatchObject({
      type: 'InvalidArgument',
      message: expect.stringContaining("'space'") as unknown,
    });
    expect(await readdir(directory)).toEqual([]);
    const place = join(directory, 'space');
    await expect(fetchBase({ ...input, tablespaces: { [oid]: location } })).rejects.toMatchObject({
      type: 'TargetNotEmpty',
    });
    await fetchBase({ ...input, tablespaces: { [oid]: place } });
    await verifyFetched({ programs: source.lent.programs, dataDirectory: input.dataDirectory, runAs, signal });
    const reached = await beginRecovery(recoveryInput(source, directory, taken, { kind: 'latest' }, end));
    expect(await ask(reached, 'SELECT count(*) FROM public.spaced')).toEqual(['1000']);
    expect(await ask(reached, `SELECT pg_tablespace_location(${oid})`)).toEqual([place]);
    const promoted = await promote(recoveryInput(source, directory, taken, { kind: 'latest' }, end));
    await ask(promoted, 'DROP TABLE public.spaced');
    await ask(promoted, 'CHECKPOINT');
    await source.server.restart();
    expect(await sql('SELECT count(*) FROM spaced')).toBe('1000');
    await away(directory);
    expect(existsSync(place)).toBe(false);
    await sql('DROP TABLE spaced');
    await sql('DROP TABLESPACE space');
  });

  if (major >= 17)
    test('a chain of increments is put together, also with tablespaces', async () => {
      const sql = (text: string) => source.server.psql('postgres', text);
      const location = await home(source, 'chain-space');
      await sql(`CREATE TABLESPACE chained LOCATION '${location}'`);
      await sql('CREATE TABLE c TABLESPACE chained AS SELECT 1 AS n');
      const oid = await sql("SELECT oid FROM pg_tablespace WHERE spcname = 'chained'");
      const full = await source.takeBase('20261121-050000');
      await sql('INSERT INTO c VALUES (2)');
      const first = await source.takeBase('20261121-060000', full);
      await sql('INSERT INTO c VALUES (3)');
      const second = await source.takeBase('20261121-070000', first);
      await sql('INSERT INTO c VALUES (4)');
      const end = await source.archiveNow();
      const directory = await home(source, 'chain');
      const input = {
        ...fetchInput(source, directory, [full, first, second]),
        tablespaces: { [oid]: join(directory, 'space') },
      };
      await expect(fetchBase({ ...input, chain: [full, second] })).rejects.toMatchObject({ type: 'InvalidArgument' });
      await fetchBase(input);
      await verifyFetched({ programs: source.lent.programs, dataDirectory: input.dataDirectory, runAs, signal });
      const reached = await beginRecovery(recoveryInput(source, directory, second, { kind: 'latest' }, end));
      expect(await ask(reached, 'SELECT count(*) FROM public.c')).toEqual(['4']);
      expect(existsSync(join(directory, 'work', 'chain'))).toBe(false);
      await away(directory);
    });
});

async function filesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true, recursive: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}
