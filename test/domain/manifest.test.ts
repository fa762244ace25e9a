import { describe, expect, test } from '@jest/globals';
import { explainIssues } from '../../src/domain/explain.ts';
import { holdsWhole, manifestSchema, partOf, renamed, totalBytes } from '../../src/domain/manifest.ts';
import { expectGolden } from '../golden.ts';
import { databaseRecord, manifest } from './samples.ts';

const good = manifest();
const [globals, ...rest] = good.parts;
const [object] = good.objects;
if (!globals || !object) throw new Error('the sample has both');

describe('a manifest', () => {
  test('is read back as it was written', () => {
    expect(manifestSchema.parse(JSON.parse(JSON.stringify(good)))).toEqual(good);
  });

  test('of a newer worker is read, without the members that this one doesn’t know', () => {
    const newer = {
      ...good,
      wal: { begin: '0/3000028' },
      server: { ...good.server, flavour: 'new' },
      parts: good.parts.map((part) => ({ ...part, lane: 1 })),
    };
    expect(manifestSchema.parse(newer)).toEqual(good);
  });

  test('that can’t be believed is refused with what is wrong', () => {
    const wrong: Readonly<Record<string, unknown>> = {
      'no object': 'text',
      'another version': { ...good, version: 2 },
      'no version': { ...good, version: undefined },
      'a path for an id': { ...good, id: '../../etc/passwd' },
      'a cluster that is a path': { ...good, cluster: '../other' },
      'an unknown method': { ...good, method: 'cp' },
      'an unknown status': { ...good, status: 'fine' },
      'a time without a zone': { ...good, startedAt: '2026-11-21 02:00:00' },
      'a digest that is none': { ...good, objects: [{ ...object, sha256: 'A'.repeat(64) }] },
      'a negative size': { ...good, objects: [{ ...object, bytes: -1 }] },
      "another backup's object": { ...good, objects: [{ ...object, key: 'postgres-backup-20261120-020000.sql.gz' }] },
      'an object whose name only begins like the id': {
        ...good,
        objects: [{ ...object, key: `${good.id}-2.sql.gz` }],
        parts: [],
      },
      'a part in an object that is not there': { ...good, parts: [{ ...globals, object: 'elsewhere.sql.gz' }] },
      'a part beyond its object': { ...good, parts: [{ ...globals, offset: 950, length: 51 }, ...rest] },
      'an encryption that this version can’t read': { ...good, parts: [{ ...globals, encryption: 'age' }] },
      'a signature that this version can’t check': { ...good, signature: 'c2ln' },
      'rows that are no number': {
        ...good,
        databases: [{ ...databaseRecord('gatus'), tables: [['public', 'accounts', 'many']] }],
      },
    };
    const answers = Object.entries(wrong).map(([title, value]) => {
      const parsed = manifestSchema.safeParse(value);
      const findings = parsed.success ? [] : explainIssues(parsed.error, value);
      return `# ${title}\n${findings.map(({ path, message }) => `${path}: ${message}\n`).join('')}`;
    });
    expectGolden(import.meta.url, 'manifest.txt', answers.join('\n'));
  });

  test('may have its objects in any directory, named after its id', () => {
    const key = `a/b/${good.id}.sql.zst`;
    const moved = renamed(good, good.id, new Map([[object.key, key]]));
    expect(manifestSchema.parse(moved).objects[0]?.key).toBe(key);
  });

  test('counts its stored bytes', () => {
    expect(totalBytes(good)).toBe(1000);
    expect(totalBytes({ ...good, objects: [object, object] })).toBe(2000);
    expect(totalBytes({ ...good, objects: [] })).toBe(0);
  });

  test('leads to the part of a database, and to those of none', () => {
    expect(partOf(good, 'content', 'gatus')?.offset).toBe(150);
    expect(partOf(good, 'globals')?.offset).toBe(0);
    expect(partOf(good, 'content', 'app')).toBeUndefined();
    expect(partOf(good, 'content')).toBeUndefined();
  });

  test('holds whole what was dumped, and nothing else', () => {
    const databases = [databaseRecord('gatus'), databaseRecord('app', 'failed'), databaseRecord('old', 'skipped')];
    const partial = manifest({ databases });
    expect(['gatus', 'app', 'old', 'none'].map((name) => holdsWhole(partial, name))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  test('under another name is the same backup with other keys', () => {
    const other = renamed(good, `${good.id}-2`, new Map([[object.key, `${good.id}-2.sql.gz`]]));
    expect(manifestSchema.parse(other)).toMatchObject({
      id: `${good.id}-2`,
      objects: [{ key: `${good.id}-2.sql.gz`, bytes: 1000 }],
    });
    expect(new Set(other.parts.map((part) => part.object))).toEqual(new Set([`${good.id}-2.sql.gz`]));
    expect(renamed(good, good.id, new Map())).toEqual(good);
  });
});
