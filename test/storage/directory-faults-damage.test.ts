import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { verifyStored } from '../../src/activities/verify-stored.ts';
import type { Manifest, Part } from '../../src/domain/manifest.ts';
import { readCatalog } from '../../src/storage/catalog.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import { initialiseDirectory } from '../../src/storage/initialise.ts';
import type { Repository } from '../../src/storage/repository.ts';
import { manifest as sampleManifest } from '../domain/samples.ts';
import { compressors } from '../postgres/dump/dumping.ts';
import { bytes, never, owner, sha256 } from './contract.ts';
import { makeScratch, type Scratch } from './scratch.ts';

const texts: readonly (readonly [Part['name'], string | undefined, string])[] = [
  ['globals', undefined, 'CREATE ROLE app;\n'],
  ['properties', 'gatus', 'CREATE DATABASE gatus;\n\\connect gatus\n'],
  ['content', 'gatus', `${'COPY t FROM stdin;\n'.repeat(3000)}--\n-- PostgreSQL database dump complete\n--\n`],
  ['footer', undefined, '--\n-- PostgreSQL database cluster dump complete\n--\n'],
];

/** Puts a backup of one file whose members unpack alone, as `backup` does. */
async function putBackup(repository: Repository): Promise<Manifest> {
  const stored = texts.map(([name, database, text]) => ({ name, database, body: gzipSync(text) }));
  const whole = Buffer.concat(stored.map(({ body }) => body));
  const object = 'postgres-backup-20261121-020000.sql.gz';
  let offset = 0;
  const parts = stored.map(({ name, database, body }): Part => {
    const at = offset;
    offset += body.length;
    return {
      ...{ name, object, offset: at, length: body.length, sha256: sha256(body) },
      ...(database === undefined ? {} : { database }),
      ...{ plain: null, compression: 'gzip', encryption: null },
    };
  });
  const made = sampleManifest({ objects: [{ key: object, bytes: whole.length, sha256: sha256(whole) }], parts });
  await repository.put(object, owner(), whole, never);
  await repository.put(`${made.id}.manifest.json`, owner(), bytes(JSON.stringify(made)), never);
  return made;
}

describe('a backup in a directory', () => {
  let scratch: Scratch;
  let repository: Repository;
  let made: Manifest;
  beforeEach(async () => {
    scratch = makeScratch();
    await initialiseDirectory({ directory: scratch.directory, now: new Date('2026-11-21T02:00:00Z') });
    repository = openDirectory({ directory: scratch.directory });
    made = await putBackup(repository);
  });
  afterEach(() => {
    scratch.close();
  });

  const verified = async () =>
    verifyStored(repository, made, await compressors(), { signal: never, onProgress: () => undefined });
  const fileOf = (key: string) => join(scratch.directory, key);
  const object = 'postgres-backup-20261121-020000.sql.gz';
  const manifestKey = 'postgres-backup-20261121-020000.manifest.json';

  test('passes while it is whole', async () => {
    expect(await verified()).toMatchObject({ outcome: 'passed', damage: [], parts: { length: 4 } });
    expect((await readCatalog(repository)).backups).toHaveLength(1);
  });

  test('fails for one flipped bit wherever it lies, in the words of its member and of no other', async () => {
    const whole = readFileSync(fileOf(object));
    for (const { name, offset, length } of made.parts) {
      for (const at of [offset, offset + 3, offset + Math.floor(length / 2), offset + length - 1]) {
        const flipped = Buffer.from(whole);
        flipped[at] = (flipped[at] ?? 0) ^ 0x40;
        writeFileSync(fileOf(object), flipped);
        const { outcome, damage } = await verified();
        expect([name, at, outcome]).toEqual([name, at, 'failed']);
        expect(damage.join()).toContain(name);
        const others = made.parts.filter((part) => part.name !== name).map((part) => part.name);
        for (const other of others) expect(damage.join()).not.toMatch(new RegExp(`\\b${other}\\b`));
      }
    }
  });

  test('fails when it is empty, cut off at a member’s end, or longer than it was', async () => {
    const whole = readFileSync(fileOf(object));
    const footer = made.parts.at(-1);
    for (const length of [0, 1, footer?.offset ?? 0, whole.length - 1]) {
      writeFileSync(fileOf(object), whole);
      truncateSync(fileOf(object), length);
      expect(await verified()).toMatchObject({
        outcome: 'failed',
        damage: expect.arrayContaining([expect.stringContaining(`is ${String(length)} bytes long`)]),
      });
    }
    writeFileSync(fileOf(object), Buffer.concat([whole, Buffer.from('x')]));
    expect(await verified()).toMatchObject({ outcome: 'failed' });
  });

  test.each([
    ['empty', () => ''],
    ['cut off', (text: string) => text.slice(0, -20)],
    ['not JSON any more', (text: string) => text.replace('{', '[')],
    ['for another file', (text: string) => text.replaceAll('.sql.gz', '.sql.gz.old/../../other')],
    ['of another name', (text: string) => text.replace('"postgres-backup-20261121-020000"', '"another"')],
    ['longer than its file', (text: string) => text.replace(/"bytes":\d+,"sha256"/, '"bytes":10,"sha256"')],
  ])('is no backup when its manifest is %s: it is listed as unreadable, and is nobody’s latest', async (_how, harm) => {
    const text = readFileSync(fileOf(manifestKey), 'utf8');
    writeFileSync(fileOf(manifestKey), harm(text));
    const { backups, unreadable } = await readCatalog(repository);
    expect(backups).toEqual([]);
    expect(unreadable).toEqual([{ manifestKey, reason: expect.any(String) }]);
  });
});
