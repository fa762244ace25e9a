import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, gzipSync } from 'node:zlib';
import { createSample, fingerprint } from '../../demo/sample.ts';
import { startPostgres, type PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { clusterAt } from './ledger.ts';
import { leaveDump, touch } from '../../parts/left-dump.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, failureOf, start, untilDecision, untilFollowUp } from './runs.ts';

describe('dumps that something else left', () => {
  let world: World;
  let server: PostgresServer;
  let spare: PostgresServer;
  const place = (name: string) => join(world.repository, name);
  const adopt = (dump: string, more: object = {}) =>
    start(world, 'adopt', { policy: 'daily', dump, by: 'alice', reason: 'a test', ...more });
  const restore = (argument: object) => start(world, 'restore', { cluster: 'main', ...argument });
  /** Every database that a restore has made as a new one is what it was, and goes. */
  const expectEqual = async (name: string, database = 'gatus') => {
    expect(
      await server.psql(name, `SELECT count(*), md5(string_agg(r::text, ',' ORDER BY id)) FROM ${database}.results r`),
    ).toBe(
      await server.psql(
        database,
        `SELECT count(*), md5(string_agg(r::text, ',' ORDER BY id)) FROM ${database}.results r`,
      ),
    );
    await server.psql('postgres', `DROP DATABASE ${name}`);
  };

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    spare = await startPostgres({ major: 17 });
    await world.configure({
      clusters: { main: clusterAt(server, 'main'), spare: clusterAt(spare, 'main', 'SPARE_PASSWORD') },
      policies: {
        daily: {
          cluster: 'main',
          method: 'pg_dumpall',
          repository: 'nas',
          path: '',
          prefix: 'postgres-backup',
          keep: { last: 20 },
          adopt: { pattern: '*' },
        },
        old: {
          cluster: 'main',
          method: 'pg_dumpall',
          repository: 'nas',
          keep: { last: 1 },
          adopt: { pattern: 'left-*', path: 'left' },
        },
      },
      tools: { postgres: { 15: server.binDir, 17: spare.binDir } },
    });
    await createSample(server);
    await world.startWorker({ environment: { SPARE_PASSWORD: spare.password } });
    await leaveDump(server, place('postgres-backup-20251030-020000.sql.gz'), 'pg_dumpall | gzip');
  });
  afterAll(async () => {
    await spare.stop('immediate');
    await world.stop();
  });

  test('are listed apart, surveyed, and never the latest nor pruned until they are adopted', async () => {
    const listed = await world.holdfast('backups', 'list');
    expect(listed.stdout).toContain('no backups');
    expect(listed.stdout).toMatch(/postgres-backup-20251030-020000 +main +daily/);
    const surveyed = await world.holdfast('backups', 'survey', 'postgres-backup-20251030-020000.sql.gz');
    expect(surveyed).toMatchObject({ code: 0 });
    expect(surveyed.stdout).toMatch(/whole .*a whole server.*\n[^]*gatus +2 +100200/);
    expect(await failureOf(await restore({ database: 'gatus' }))).toMatchObject({ type: 'NoSuchBackup' });
    const byName = await failureOf(await restore({ backup: 'postgres-backup-20251030-020000', database: 'gatus' }));
    expect(byName.type).toBe('NoSuchBackup');
    expect(byName.hint).toContain('foreign');
    await (await start(world, 'prune', { policy: 'daily' })).result();
    expect(existsSync(place('postgres-backup-20251030-020000.sql.gz'))).toBe(true);
  });

  test('become backups when they are adopted: latest, verified, restored one by one and swapped in', async () => {
    const run = await adopt('postgres-backup-20251030-020000');
    expect(await run.result()).toMatchObject({ id: 'postgres-backup-20251030-020000', findings: [] });
    expect((await world.holdfast('backups', 'list')).stdout).toMatch(
      /20251030-020000 +main +daily .* complete +passed/,
    );
    const before = await fingerprint(server, 'gatus');
    await server.psql('gatus', 'DELETE FROM gatus.results WHERE id % 3 = 0');
    const restored = await restore({ database: 'gatus' });
    const progress = await untilDecision(restored);
    expect(progress.plan?.facts.source).toMatchObject({
      backup: 'postgres-backup-20251030-020000',
      origin: { by: 'alice' },
    });
    await approve(restored, progress);
    await untilFollowUp(restored);
    expect(await fingerprint(server, 'gatus')).toBe(before);
    await restored.signal('release', { by: 'alice', reason: 'well' });
    await restored.result();
    await expectClean(world, server);
  });

  test('fill an empty cluster, also a newer one', async () => {
    const run = await restore({ onto: 'spare', backup: 'postgres-backup-20251030-020000' });
    expect(await run.result()).toMatchObject({ outcome: 'restored' });
    expect(await spare.psql('app', 'SELECT count(*) FROM app.results')).toBe(
      await server.psql('app', 'SELECT count(*) FROM app.results'),
    );
  });

  test.each([
    ['plain.sql', 'pg_dump gatus'],
    ['plain-zst.sql.zst', 'pg_dump gatus | zstd -q'],
    ['created.sql.gz', 'pg_dump --create --clean --if-exists gatus | gzip'],
    ['quoted.sql.gz', 'pg_dump --quote-all-identifiers --clean gatus | gzip'],
    ['inserts.sql', 'pg_dump --inserts --rows-per-insert=100 gatus'],
    ['clean-cluster.sql.gz', 'pg_dumpall --clean --if-exists --quote-all-identifiers | gzip'],
    ['custom.dump', 'pg_dump -Fc gatus'],
    ['custom-gz.dump.gz', 'pg_dump -Fc -Z0 gatus | gzip'],
    ['tar.tar', 'pg_dump -Ft gatus'],
    ['folder', 'pg_dump -Fd -f "$FILE" gatus'],
  ])(
    'are restored without being adopted, after a human has seen that nobody vouches for them: %s by %s',
    async (name, line) => {
      await leaveDump(server, place(name), line);
      const backup = name.split('.')[0];
      const run = await restore({ backup, database: 'gatus', into: 'from_foreign', foreign: true });
      const progress = await untilDecision(run);
      expect(progress.plan?.facts.source.origin).toMatchObject({ kind: 'surveyed', findings: [] });
      expect((await server.psql('postgres', "SELECT count(*) FROM pg_database WHERE datname ~ '_new_'")).trim()).toBe(
        '0',
      );
      await approve(run, progress);
      expect(await run.result()).toMatchObject({ outcome: 'created' });
      await expectEqual('from_foreign');
      await expectClean(world, server);
      await rm(place(name), { recursive: true });
    },
  );

  test('that are cut off, damaged, or still being written are refused', async () => {
    const whole = await readFile(place('postgres-backup-20251030-020000.sql.gz'));
    const sql = gunzipSync(whole);
    const cases: [string, Uint8Array, string][] = [
      ['cut-stream.sql.gz', whole.subarray(0, whole.length / 2), 'ObjectDamaged'],
      ['cut-dump.sql.gz', gzipSync(sql.subarray(0, sql.length / 2)), 'ObjectDamaged'],
      ['empty.sql.gz', new Uint8Array(), 'ObjectDamaged'],
      ['nothing.sql.gz', gzipSync(''), 'ObjectDamaged'],
      ['fresh.sql.gz', whole, 'DumpRefused'],
    ];
    for (const [name, bytes, type] of cases) {
      await writeFile(place(name), bytes);
      if (name === 'fresh.sql.gz') await touch(place(name));
      else await leaveDump(server, place(name), 'true "$FILE"');
      const failure = await failureOf(await adopt(name.split('.')[0] ?? ''));
      expect([name, failure.type]).toEqual([name, type]);
      expect(existsSync(place(`${name.split('.')[0] ?? ''}.manifest.json`))).toBe(false);
    }
    await expectClean(world, server);
  });

  test('that hold more than a dump are refused by line and database, and nothing of them runs', async () => {
    const evidence = join(world.directory, 'it-ran');
    const sql = gunzipSync(await readFile(place('postgres-backup-20251030-020000.sql.gz'))).toString();
    const hostile = {
      shell: `\\! touch ${evidence}`,
      backquote: `\\unrestrict \`touch ${evidence}\``,
      copy: `\\copy gatus.endpoints to program 'touch ${evidence}'`,
      program: `COPY gatus.endpoints TO PROGRAM 'touch ${evidence}';`,
      system: `ALTER SYSTEM SET archive_command = 'touch ${evidence}';`,
    };
    for (const [name, line] of Object.entries(hostile)) {
      const text = sql.replace('CREATE SCHEMA gatus;', `CREATE SCHEMA gatus;\n${line}`);
      expect(text).not.toBe(sql);
      await writeFile(place(`hostile-${name}.sql.gz`), gzipSync(text));
      await leaveDump(server, place(`hostile-${name}.sql.gz`), 'true "$FILE"');
      const argument = { backup: `hostile-${name}`, database: 'gatus', into: 'hostile', foreign: true };
      for (const run of [await adopt(`hostile-${name}`), await restore(argument)]) {
        const failure = await failureOf(run);
        expect([name, failure.type]).toEqual([name, 'DumpRefused']);
        expect(failure.message).toMatch(/line \d+, database 'gatus'/);
      }
    }
    expect(existsSync(evidence)).toBe(false);
    const allowed = await restore({
      ...{ backup: 'hostile-program', database: 'gatus', into: 'allowed', foreign: true },
      allow: ['server-side'],
    });
    const progress = await untilDecision(allowed);
    expect(progress.plan?.facts.source.origin?.findings.join()).toMatch(/PROGRAM/);
    expect(existsSync(evidence)).toBe(false);
    await allowed.signal('reject', { by: 'alice', reason: 'a test', plan: progress.planDigest?.slice(0, 12) });
    expect(await failureOf(allowed)).toMatchObject({ type: 'Rejected' });
    await expectClean(world, server);
  });

  test('that are changed between the survey and the restore do not reach psql unread', async () => {
    const evidence = join(world.directory, 'it-ran-later');
    const file = place('swapped.sql.gz');
    await leaveDump(server, file, 'pg_dumpall | gzip');
    const run = await restore({ backup: 'swapped', database: 'gatus', into: 'swapped', foreign: true });
    const progress = await untilDecision(run);
    const sql = gunzipSync(await readFile(file)).toString();
    await writeFile(file, gzipSync(sql.replace('CREATE SCHEMA gatus;', `CREATE SCHEMA gatus;\n\\! touch ${evidence}`)));
    await approve(run, progress);
    expect((await failureOf(run)).type).toMatch(/DumpRefused|ObjectDamaged/);
    expect(existsSync(evidence)).toBe(false);
    await expectClean(world, server);
  });

  test('are pruned like any other backup once they are adopted, also where a prune was cut short', async () => {
    await leaveDump(server, place('left/left-20250101-000000'), 'pg_dump -Fd -f "$FILE" app');
    await leaveDump(server, place('left/left-20250102-000000.sql'), 'pg_dump app');
    await leaveDump(server, place('left/notes.tombstone.json'), 'echo no tombstone');
    for (const dump of ['left-20250101-000000', 'left-20250102-000000'])
      await (await adopt(dump, { policy: 'old', allow: ['flawed-tools'] })).result();
    const killed = await world.startWorker({ failpoints: 'prune:manifest=fail' });
    const first = await start(world, 'prune', { policy: 'old' });
    await first.result().catch(() => undefined);
    await killed.end();
    await (await start(world, 'prune', { policy: 'old' })).result();
    const left = await readdir(place('left'), { recursive: true, withFileTypes: true });
    expect(left.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort()).toEqual([
      'left-20250102-000000.manifest.json',
      'left-20250102-000000.sql',
      'notes.tombstone.json',
    ]);
  });

  test('count for the policy from then on', async () => {
    const { id } = await backUp(world);
    const { stdout } = await world.holdfast('prune', 'daily', '--dry-run');
    expect(stdout).toContain(id);
    expect(stdout).toContain('postgres-backup-20251030-020000');
  });
});
