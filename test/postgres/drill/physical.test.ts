import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { chown, mkdir, readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { serverUser } from '../../../parts/server-user.ts';
import type { BaseBackup, BaseManifest } from '../../../src/domain/base-manifest.ts';
import { buildArchive, type Archived } from '../../../src/domain/wal-archive.ts';
import { parseSegmentName } from '../../../src/domain/wal.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { findAmcheck, runAmcheck } from '../../../src/postgres/drill/amcheck.ts';
import { runChecks } from '../../../src/postgres/drill/checks.ts';
import { chooseDrill } from '../../../src/postgres/drill/choose.ts';
import { restorePhysical } from '../../../src/postgres/drill/physical.ts';
import { makePlace, removePlace, type DrillPlace } from '../../../src/postgres/drill/place.ts';
import { segmentBytes, startSource, type Source } from '../recovery/source.ts';

const { signal } = new AbortController();
const filesBelow = async (directory: string) => (await readdir(directory, { recursive: true })).sort();

describe.each<15 | 17>([15, 17])(
  'a drill of a base backup of PostgreSQL %i, on the live server’s own machine',
  (major) => {
    let source: Source;
    let fast: string;
    let base: BaseManifest;
    let increment: BaseManifest | undefined;
    let place: DrillPlace;
    let attempt = 0;

    beforeAll(async () => {
      source = await startSource(major);
      fast = join(source.scratch, 'fast');
      await mkdir(fast, { mode: 0o700 });
      const owner = serverUser();
      if (owner !== undefined) await chown(fast, owner.uid, owner.gid);
      const { server } = source;
      await server.psql('postgres', `CREATE TABLESPACE fast LOCATION '${fast}'`);
      // Whoever takes base backups need not be a superuser.
      await server.psql('postgres', 'CREATE ROLE replicator LOGIN REPLICATION');
      await server.psql('postgres', 'CREATE TABLE t (id int PRIMARY KEY) TABLESPACE fast; INSERT INTO t VALUES (1)');
      base = await source.takeBase('b1');
      await server.psql('postgres', 'INSERT INTO t VALUES (2)');
      if (major >= 17) increment = await source.takeBase('b2', base);
      await server.psql('postgres', 'INSERT INTO t VALUES (3)');
      await source.archiveNow();
    });
    afterAll(() => source.end());
    beforeEach(async () => {
      attempt += 1;
      place = await makePlace(join(source.scratch, 'i'), { run: '1a2b3c4d', attempt, host: 'here' }, serverUser());
    });
    afterEach(() => removePlace(place, signal));

    const backupOf = (manifest: BaseManifest): BaseBackup => ({
      manifest,
      manifestKey: `${manifest.id}.json`,
      verification: 'none',
      drill: 'none',
    });

    async function archives(without: (number: bigint) => boolean = () => false): Promise<Archived[]> {
      const keys = (await readdir(source.archiveDirectory)).filter((name) => {
        const segment = parseSegmentName(name, segmentBytes);
        return segment !== undefined && !without(segment.number);
      });
      const archive = buildArchive({
        systemIdentifier: base.server.systemIdentifier,
        segmentBytes,
        keys: keys.map((name) => `${name}.zst`),
        histories: new Map(),
      });
      return [{ archive, times: new Map() }];
    }

    async function drill(manifest: BaseManifest, found?: Archived[]) {
      const chain = [base, ...(increment === undefined ? [] : [increment])].map(backupOf);
      return restorePhysical({
        ...{ place, programs: source.lent.programs, runAs: serverUser(), signal },
        ...{ source: source.repository, compressors: source.compressors, wal: source.wal },
        recovery: chooseDrill(backupOf(manifest), chain, found ?? (await archives()), new Date()),
        who: { user: 'replicator', database: 'postgres' },
        onFetch: () => undefined,
        onReplay: () => undefined,
      });
    }

    const outcomes = (checks: readonly { name: string; outcome: string }[]) =>
      checks.map(({ name, outcome }) => `${name}: ${outcome}`);

    test('proves its files, replays the whole archive, and leaves the source’s archive and tablespace untouched', async () => {
      const before = [await filesBelow(fast), await filesBelow(source.archiveDirectory)];
      const copy = await drill(increment ?? base);
      expect(copy.checks.filter(({ outcome }) => outcome !== 'passed')).toEqual([]);
      expect(outcomes(copy.checks)).toEqual(['pg_verifybackup: passed', 'recovery: passed', 'databases: passed']);
      expect(copy.reached).toMatchObject({ verdict: 'as asked', stoppedBy: 'archive', timeline: 1 });
      expect(copy.dataOf).toBe(copy.reached?.lastTransactionTime);
      const rows = {
        database: 'postgres',
        sql: "SELECT string_agg(id::text, ',' ORDER BY id) FROM t",
        expect: '1,2,3',
      };
      expect((await runChecks(copy.server, [rows], signal))[0]).toMatchObject({ outcome: 'passed' });
      await copy.takeWrites();
      expect(
        await runAmcheck(
          findAmcheck(source.lent.programs.major, dirname(source.lent.programs.postgres)),
          copy.server,
          signal,
        ),
      ).toMatchObject({
        outcome: 'passed',
      });
      await withSession(copy.server, {}, (session) => session.query('DROP TABLE public.t; SELECT pg_switch_wal()'));
      await removePlace(place, signal);
      expect([await filesBelow(fast), await filesBelow(source.archiveDirectory)]).toEqual(before);
      expect(await source.server.psql('postgres', 'SELECT count(*) FROM t')).toBe('3');
      expect(await readdir(join(source.scratch, 'i'))).toEqual([]);
    });

    test('comes up where the backup is consistent when the archive has a hole, and says so', async () => {
      const numbers = (await readdir(source.archiveDirectory)).flatMap(
        (name) => parseSegmentName(name, segmentBytes)?.number ?? [],
      );
      const last = numbers.reduce((most, number) => (number > most ? number : most), 0n);
      // One more segment than there are, so that the newest is missing from the middle.
      const [found] = await archives();
      const run = found?.archive.segments.get(1)?.[0];
      const holed = buildArchive({
        systemIdentifier: base.server.systemIdentifier,
        segmentBytes,
        keys: (await readdir(source.archiveDirectory))
          .filter((name) => parseSegmentName(name, segmentBytes) !== undefined)
          .concat(segmentAfter(last + 2n))
          .map((name) => `${name}.zst`),
        histories: new Map(),
      });
      expect(run?.last).toBe(last);
      const copy = await drill(base, [{ archive: holed, times: new Map() }]);
      expect(outcomes(copy.checks)).toEqual([
        'pg_verifybackup: passed',
        'recovery: passed',
        'archive: failed',
        'databases: passed',
      ]);
      expect(copy.dataOf).not.toBeNull();
    });

    test('of which one file was changed after it was taken is refused by PostgreSQL’s own manifest', async () => {
      const key = base.backupManifest.key;
      const text = Buffer.from(await readAll(key))
        .toString()
        .replace('"PG_VERSION", "Size": 3', '"PG_VERSION", "Size": 4');
      const stored = await source.repository.put(
        `${key.slice(0, key.lastIndexOf('/'))}/other_manifest_${String(major)}`,
        { run: 'x', attempt: 0 },
        Buffer.from(text),
        signal,
      );
      const changed = { ...base, backupManifest: { ...stored, compression: 'none' as const } };
      const found = await archives();
      const recovery = chooseDrill(backupOf(changed), [backupOf(changed)], found, new Date());
      await expect(
        restorePhysical({
          ...{ place, programs: source.lent.programs, runAs: serverUser(), signal, recovery },
          ...{ source: source.repository, compressors: source.compressors, wal: source.wal },
          who: { user: 'postgres', database: 'postgres' },
          onFetch: () => undefined,
          onReplay: () => undefined,
        }),
      ).rejects.toMatchObject({ name: 'VerificationFailed' });
    });

    async function readAll(key: string): Promise<Buffer> {
      const path = source.repository.localPath(key);
      if (path === undefined) throw new Error('the repository is a directory');
      return readFile(path);
    }
  },
);

/** On timeline 1, in segments of 1 MiB. */
const segmentAfter = (number: bigint) =>
  `00000001${(number >> 12n).toString(16).padStart(8, '0')}${(number & 0xfffn).toString(16).padStart(8, '0')}`.toUpperCase();
