import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { gunzipSync } from 'node:zlib';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { databaseSchema, partSchema } from '../../../src/domain/manifest.ts';
import { conninfoOf } from '../../../src/postgres/quote.ts';
import type { ArchivesDump, StoredArchive } from '../../../src/postgres/archive/write.ts';
import { compressors, printed, toolsOf } from '../dump/dumping.ts';
import { makeSample, oddNames } from '../dump/sample.ts';
import { archivesOf, byHand, keep, pathOf, type Kept } from './archiving.ts';

describe.each(availableMajors())('a backup by pg_dump of a PostgreSQL %i server', (major) => {
  let source: PostgresServer;

  beforeAll(async () => {
    source = await startPostgres({ major, password: 'one of both' });
    await makeSample(source);
  });

  afterAll(() => source.stop());

  describe.each(['custom', 'directory'] as const)('in format %s', (format) => {
    let kept: Kept;
    let dump: ArchivesDump<StoredArchive>;

    beforeAll(async () => {
      kept = keep();
      // What a killed attempt of this run left.
      mkdirSync(join(kept.scratch, 'holdfast-scratch.test.1.1.elsewhere.abcdef'), { recursive: true });
      dump = await archivesOf(source, kept, { format, jobs: 3 });
    });

    afterAll(() => {
      kept.remove();
    });

    const recordOf = (name: string) => dump.databases.find((record) => record.name === name);
    const contentOf = (name: string) => dump.parts.find((part) => part.name === 'content' && part.database === name);

    it('has a script for the whole server and an archive for each database, of which each is one part', () => {
      expect(dump.status).toBe('complete');
      expect(dump.warnings).toEqual([]);
      const inScript = dump.parts.filter(({ object }) => object === 'globals.sql.gz');
      expect(inScript.map(({ name }) => name).join(' ')).toMatch(/^globals( properties)+ footer$/);
      const script = readFileSync(pathOf(kept, 'globals.sql.gz'));
      let end = 0;
      for (const part of inScript) {
        expect(part.offset).toBe(end);
        end += part.length;
        expect(gunzipSync(script.subarray(part.offset, end)).length).toBeGreaterThan(0);
      }
      expect(end).toBe(script.length);
      const dumped = dump.databases.filter(({ status }) => status === 'dumped').map(({ name }) => name);
      expect(dumped).toEqual(expect.arrayContaining(['template1', 'postgres', 'app', 'latin', ...oddNames]));
      const contents = dump.parts.filter(({ name }) => name === 'content');
      expect(contents.map(({ database }) => database)).toEqual(dumped);
      for (const part of contents) {
        const bytes = readFileSync(pathOf(kept, part.object));
        expect(part).toMatchObject({
          ...{ offset: 0, length: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') },
          ...{ plain: null, compression: 'none', format: format === 'custom' ? 'custom' : 'directory-tar' },
        });
        expect(() => partSchema.parse(part)).not.toThrow();
      }
      for (const record of dump.databases) expect(() => databaseSchema.parse(record)).not.toThrow();
      expect(dump.objects.map(({ suffix }) => suffix)).toEqual([
        'globals.sql.gz',
        ...contents.map((part) => part.object),
      ]);
    });

    it('calls its objects by names that are safe anywhere', () => {
      const extension = format === 'custom' ? 'dump' : 'tar';
      expect(contentOf('app')?.object).toBe(`app.${extension}`);
      const odd = recordOf('$(id)`id`');
      expect(contentOf('$(id)`id`')?.object).toBe(`_oid${String(odd?.oid)}.${extension}`);
      for (const { suffix } of dump.objects) expect(suffix).toMatch(/^[A-Za-z0-9_][A-Za-z0-9_-]*\.[a-z.]+$/);
    });

    it('counts rows, and skips what takes no connections with the reason', () => {
      expect(recordOf('app')?.tables).toContainEqual(['public', 'big', 5000]);
      expect(recordOf('app')?.tables).toContainEqual(['public', 'mat', null]);
      expect(recordOf('closed')).toMatchObject({ status: 'skipped', reason: expect.stringContaining('datallowconn') });
    });

    it('leaves nothing behind: no open object, no scratch, no session', async () => {
      expect([...kept.open, ...kept.aborted]).toEqual([]);
      expect(existsSync(kept.scratch) ? readdirSync(kept.scratch) : []).toEqual([]);
      expect(
        await source.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`),
      ).toBe('0');
    });

    it('comes back by zcat, psql, tar and pg_restore alone, every database equal', async () => {
      const target = await startPostgres({ major, password: 'one of both' });
      try {
        const complaints = await byHand(target, 'zcat "$1" | psql -X -q -o /dev/null', pathOf(kept, 'globals.sql.gz'));
        expect(complaints.trim().split('\n')).toEqual([expect.stringContaining('role "postgres" already exists')]);
        for (const part of dump.parts.filter(({ name }) => name === 'content')) {
          const file = pathOf(kept, part.object);
          const database = part.database ?? '';
          // One of the sample's databases is read-only by its own setting.
          const restore = `PGOPTIONS='-c default_transaction_read_only=off' pg_restore --exit-on-error -j2 -d "$2"`;
          const unpack = `rm -rf "$1.d" && mkdir "$1.d" && tar -xf "$1" -C "$1.d"`;
          await byHand(
            target,
            format === 'custom' ? `${restore} "$1"` : `${unpack} && ${restore} "$1.d"`,
            file,
            conninfoOf(database),
          );
          const [before, after] = await Promise.all([
            printed(source, 'pg_dump', database),
            printed(target, 'pg_dump', database),
          ]);
          expect(after).toBe(before);
        }
        const query = `SELECT datname, pg_encoding_to_char(encoding), datcollate, datistemplate, datconnlimit,
          (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
          shobj_description(oid, 'pg_database') FROM pg_database WHERE datname NOT IN ('closed', 'template0') ORDER BY datname`;
        expect(await target.psql('postgres', query)).toBe(await source.psql('postgres', query));
      } finally {
        await target.stop();
      }
    });
  });

  it('is compressed by zstd where pg_dump can do that, and refused at the beginning where it can not', async () => {
    const kept = keep();
    const { zstd } = await compressors();
    if (zstd === undefined) throw new Error('zstd is not installed');
    try {
      const exclude = [...oddNames, 'latin', 'template1', 'postgres', 'tmpl'];
      const dumping = archivesOf(source, kept, { compression: 'zstd', compressor: zstd, exclude });
      if (major < 16) {
        await expect(dumping).rejects.toMatchObject({
          type: 'ConfigurationInvalid',
          message: expect.stringContaining('pg_dump 16 or newer'),
        });
        expect(readdirSync(kept.directory)).toEqual([]);
        return;
      }
      const { objects } = await dumping;
      expect(objects.map(({ suffix }) => suffix)).toEqual(['globals.sql.zst', 'app.dump']);
      const { pgRestore } = await toolsOf(source);
      await byHand(source, '"$1" -l "$2" | grep -q "Compression: zstd"', pgRestore, pathOf(kept, 'app.dump'));
    } finally {
      kept.remove();
    }
  });
});
