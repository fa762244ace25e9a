import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { DumpSurvey } from '../../src/domain/dump-survey.ts';
import { filesOf, findForeign, foreignDumps, foreignManifest, foreignPrefix } from '../../src/domain/foreign.ts';
import { manifestSchema } from '../../src/domain/manifest.ts';

const modifiedAt = new Date('2025-10-30T02:05:00Z');
const file = (key: string, bytes = 1000) => ({ key, bytes, modifiedAt });
const all = { path: '', pattern: '*' };
const ids = (keys: readonly string[], adopt = all, known: readonly string[] = []) =>
  foreignDumps(
    keys.map((key) => file(key)),
    new Set(known),
    adopt,
  ).map(({ id }) => id);

describe('dumps that something else left', () => {
  test('are what the pattern matches, by their names without the ending', () => {
    const keys = ['postgres-backup-20251030-020000.sql.gz', 'app.dump', 'app2.sql.zst', 'notes.txt', 'plain'];
    expect(ids(keys)).toEqual(['app', 'app2', 'notes.txt', 'plain', 'postgres-backup-20251030-020000']);
    expect(ids(keys, { path: '', pattern: 'postgres-backup-*.sql.gz' })).toEqual(['postgres-backup-20251030-020000']);
    expect(ids(keys, { path: '', pattern: 'app?.sql.zst' })).toEqual(['app2']);
    expect(ids(['a.sqlxgz'], { path: '', pattern: '*.sql.gz' })).toEqual([]);
  });

  test('lie in the directory itself, or are a directory of it in the directory format', () => {
    const keys = ['old/a.sql', 'old/deeper/b.sql', 'c.sql', 'old/dir/toc.dat', 'old/dir/3310.dat.gz', 'older/d.sql'];
    expect(ids(keys, { path: 'old', pattern: '*' })).toEqual(['a', 'dir']);
    const dumps = foreignDumps(
      keys.map((key) => file(key)),
      new Set(),
      { path: 'old', pattern: 'dir' },
    );
    expect(dumps).toEqual([{ id: 'dir', key: 'old/dir/toc.dat', bytes: 2000, modifiedAt }]);
    expect(dumps.map((dump) => filesOf(dump, keys))).toEqual([['old/dir/toc.dat', 'old/dir/3310.dat.gz']]);
    expect(filesOf({ id: 'a', key: 'old/a.sql', bytes: 1, modifiedAt }, keys)).toEqual(['old/a.sql']);
  });

  test('are not what the catalog speaks for, nor its own files', () => {
    const keys = ['a.sql.gz', 'a.manifest.json', 'b.tombstone.json', 'b.sql.gz', '-x.sql', 'with space.sql'];
    expect(ids(keys, all, ['a.sql.gz'])).toEqual(['b']);
  });

  test('that would have the same id are told apart by their whole names', () => {
    expect(ids(['a.sql', 'a.sql.gz', 'b.sql'])).toEqual(['a.sql', 'a.sql.gz', 'b']);
  });

  test('are found by id or by the name of the file', () => {
    const dumps = foreignDumps([file('x/a.sql.gz'), file('x/b.sql'), file('x/b.sql.gz')], new Set(), {
      path: 'x',
      pattern: '*',
    });
    expect(['a', 'a.sql.gz', 'b.sql', 'b.sql.gz', 'c'].map((asked) => findForeign(dumps, asked)?.key)).toEqual([
      'x/a.sql.gz',
      'x/a.sql.gz',
      'x/b.sql',
      'x/b.sql.gz',
      undefined,
    ]);
    expect([foreignPrefix({ path: '' }), foreignPrefix({ path: 'x' })]).toEqual(['', 'x/']);
  });

  test('never share an id, whatever they are called', () => {
    const name = fc.stringMatching(/^[a-c]{1,2}(\.(sql|dump))?(\.(gz|zst))?$/);
    fc.assert(
      fc.property(fc.uniqueArray(name), (names) => {
        const found = ids(names);
        expect(found).toHaveLength(names.length);
        expect(new Set(found).size).toBe(names.length);
      }),
    );
  });
});

const sha256 = (digit: string) => digit.repeat(64);
const survey: DumpSurvey = {
  format: 'plain',
  of: 'cluster',
  serverVersion: '9.6.24',
  dumpVersion: '15.18',
  incomplete: null,
  plain: { length: 5000, sha256: sha256('1') },
  parts: [
    { name: 'globals', offset: 0, length: 100, sha256: sha256('2') },
    { name: 'content', database: 'gatus', offset: 100, length: 4900, sha256: sha256('3') },
  ],
  databases: [
    {
      name: 'gatus',
      owner: 'app',
      encoding: 'UTF8',
      collate: '',
      ctype: '',
      localeProvider: 'libc',
      locale: null,
      icuRules: null,
      tablespace: 'pg_default',
      connectionLimit: -1,
      isTemplate: false,
      properties: null,
      extensions: [{ name: 'citext', version: '', schema: 'public' }],
      tables: [['public', 'orders', 3]],
      roles: ['app'],
      tablespaces: [],
    },
  ],
  roles: [],
  tablespaces: [],
  bootstrapRole: 'postgres',
  findings: [{ needs: 'server-side', what: 'COPY … FROM PROGRAM', line: 12, database: 'gatus' }],
  findingCount: 1,
  notes: ['it has no fences'],
};
const identity = {
  installation: 'homelab',
  cluster: 'jigga',
  policy: 'jigga-daily',
  run: { workflowId: 'adopt/jigga-daily/1', firstExecutionRunId: 'c0ffee' },
  holdfastVersion: '0.2.0',
  origin: { kind: 'adopted', by: 'alice', reason: 'cron', at: '2026-11-21T00:00:00.000Z', allow: ['server-side'] },
} as const;

describe('the manifest of a dump that something else left', () => {
  const dump = {
    id: 'postgres-backup-20251030-020000',
    key: 'postgres-backup-20251030-020000.sql.gz',
    bytes: 900,
    modifiedAt,
  };
  const objects = [{ key: dump.key, bytes: 900, sha256: sha256('4') }];

  test('is a manifest like any other, with what the dump tells', () => {
    const manifest = foreignManifest({ dump, survey, objects, compression: 'gzip' }, identity);
    expect(manifestSchema.parse(JSON.parse(JSON.stringify(manifest)))).toEqual(manifest);
    expect(manifest).toMatchObject({
      startedAt: '2025-10-30T02:00:00.000Z',
      method: 'pg_dumpall',
      server: { version: '9.6.24', versionNum: 90_624 },
      tools: { pg_dump: '15.18' },
      origin: { findings: ["COPY … FROM PROGRAM in line 12, database 'gatus'"], allow: ['server-side'] },
      warnings: ['it has no fences'],
    });
    expect(manifest.parts[1]).toMatchObject({
      object: dump.key,
      offset: 0,
      length: 900,
      within: { offset: 100, length: 4900, sha256: sha256('3') },
    });
  });

  test('takes the time from the name where it tells one that can be, else from the file', () => {
    const takenAt = (id: string) =>
      foreignManifest({ dump: { ...dump, id }, survey, objects, compression: 'gzip' }, identity).startedAt;
    expect(takenAt('x-20251029-235959')).toBe('2025-10-29T23:59:59.000Z');
    for (const id of ['x', 'x-20251399-000000', 'x-20270101-000000', 'x-20251030-0200001'])
      expect(takenAt(id)).toBe(modifiedAt.toISOString());
  });

  test('of an archive has a part that is the whole file', () => {
    const archive: DumpSurvey = { ...survey, format: 'custom', of: 'database', parts: survey.parts.slice(1) };
    const [part] = foreignManifest({ dump, survey: archive, objects, compression: 'none' }, identity).parts;
    expect(part).toMatchObject({ format: 'custom', offset: 0, length: 900, sha256: sha256('4') });
    expect(part).not.toHaveProperty('within');
  });
});
