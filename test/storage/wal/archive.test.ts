import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startS3, type S3Server } from '../../../parts/s3-server.ts';
import { openDirectory } from '../../../src/storage/directory.ts';
import { initialiseDirectory } from '../../../src/storage/initialise.ts';
import type { ListedObject, Repository } from '../../../src/storage/repository.ts';
import { auditArchive } from '../../../src/storage/wal/audit.ts';
import { listArchive, listSystemIdentifiers } from '../../../src/storage/wal/list.ts';
import { readSegment, readTrailer } from '../../../src/storage/wal/read.ts';
import { segmentName } from '../../../src/domain/wal.ts';
import { makeScratch, type Scratch } from '../scratch.ts';
import { newSpec, openMarked } from '../s3-scratch.ts';
import {
  cluster,
  compressors,
  gather,
  makeSegment,
  mebibyte,
  never,
  openStore,
  put,
  systemIdentifier,
} from './segments.ts';

const folder = `${cluster}/wal/${systemIdentifier}`;
const keyOf = (number: bigint, ending = 'zst', timeline = 1) =>
  `${folder}/${String(timeline).padStart(8, '0')}/${segmentName(timeline, number, mebibyte)}.${ending}`;

describe('a log in a directory', () => {
  let scratch: Scratch;
  let repository: Repository;
  const pathOf = (key: string) => join(scratch.directory, key);
  const reading = async () => ({ repository, compressors: await compressors(), signal: never });
  const read = async (key: string) => gather(readSegment(await reading(), key));
  const audit = async (deep: boolean) => auditArchive(await reading(), cluster, systemIdentifier, { deep });
  const staged = async () => {
    let count = 0;
    for await (const each of repository.listStaged()) count += each.bytes >= 0 ? 1 : 0;
    return count;
  };

  beforeEach(async () => {
    scratch = makeScratch();
    await initialiseDirectory({ directory: scratch.directory, now: new Date('2026-11-21T02:00:00Z') });
    repository = openDirectory({ directory: scratch.directory });
  });
  afterEach(() => {
    scratch.close();
  });

  it.each([
    ['zstd', 'zst', ['zstd', '-dc']],
    ['gzip', 'gz', ['gzip', '-dc']],
    ['gzip', 'gz', ['pigz', '-dc']],
    ['gzip', 'gz', ['igzip', '-dc']],
  ] as const)(
    'holds segments of %s (.%s) that %j unpacks, and that say of themselves what they are',
    async (compression, ending, tool) => {
      const store = await openStore(repository, { compression });
      const bytes = makeSegment(7n);
      const { key, sha256 } = await put(store, 7n, bytes);
      expect(key).toBe(keyOf(7n, ending));
      const [file, ...args] = tool;
      const plain = execFileSync(file, [...args, pathOf(key)], { maxBuffer: 2 * mebibyte });
      expect(plain.equals(bytes)).toBe(true);
      expect((await read(key))?.equals(bytes)).toBe(true);
      const { trailer } = await readTrailer({ repository, signal: never }, key);
      expect(trailer).toEqual({
        version: 1,
        segment: '000000010000000000000007',
        timeline: 1,
        systemIdentifier,
        bytes: mebibyte,
        sha256,
        endedAt: '2026-11-21T02:00:00.000Z',
        endLsn: null,
      });
    },
  );

  it('takes the same bytes again, in either compression, and refuses others with both digests', async () => {
    const bytes = makeSegment(3n);
    const first = await put(await openStore(repository), 3n, bytes);
    const again = await put(await openStore(repository, { compression: 'gzip' }), 3n, bytes);
    expect(again).toMatchObject({ key: first.key, existed: true });
    const other = makeSegment(3n);
    await expect(put(await openStore(repository), 3n, other)).rejects.toMatchObject({
      type: 'NameTaken',
      message: expect.stringContaining(first.sha256),
    });
    expect((await read(first.key))?.equals(bytes)).toBe(true);
    expect(await staged()).toBe(0);
  });

  it('takes a segment that comes in pieces, and finds it there already', async () => {
    const bytes = makeSegment(3n);
    const store = await openStore(repository);
    const pieces = async function* () {
      await Promise.resolve();
      for (let at = 0; at < bytes.length; at += 10_000) yield bytes.subarray(at, at + 10_000);
    };
    const write = (body: AsyncIterable<Uint8Array>) =>
      store.write({ timeline: 1, number: 3n, body, endedAt: () => null }, { signal: never });
    expect(await write(pieces())).toMatchObject({ existed: false });
    expect(await write(pieces())).toMatchObject({ existed: true });
    expect((await gather(await store.segment(segmentName(1, 3n, mebibyte), never)))?.equals(bytes)).toBe(true);
    expect(await staged()).toBe(0);
  });

  it.each([
    ['is too short', () => makeSegment(3n).subarray(0, mebibyte - 1), 'has 1048575 bytes instead of 1048576'],
    ['is another segment', () => makeSegment(4n), 'holds another segment: it begins at 0/400000 instead of 0/300000'],
    ['is of another cluster', () => makeSegment(3n, { systemIdentifier: '42' }), 'system identifier 42 instead of'],
    ['is of a later timeline', () => makeSegment(3n, { timeline: 2 }), 'is of timeline 2 instead of 1'],
    [
      'is of another segment size',
      () => makeSegment(0n, { segmentBytes: 16 * mebibyte }).subarray(0, mebibyte),
      'is of segments of 16777216 bytes',
    ],
    ['is nothing', () => Buffer.alloc(mebibyte), 'does not begin as a WAL segment does'],
  ])('stores nothing that %s', async (_, make, message) => {
    const store = await openStore(repository);
    const number = message.startsWith('is of segments') ? 0n : 3n;
    const body = make();
    await expect(put(store, number, body)).rejects.toMatchObject({
      type: 'ObjectDamaged',
      message: expect.stringContaining(message),
    });
    const streamed = async function* () {
      await Promise.resolve();
      yield body.subarray(0, 10);
      yield body.subarray(10);
    };
    await expect(
      store.write({ timeline: 1, number, body: streamed(), endedAt: () => null }, { signal: never }),
    ).rejects.toMatchObject({ type: 'ObjectDamaged', message: expect.stringContaining(message) });
    expect(await staged()).toBe(0);
    expect(existsSync(pathOf(keyOf(number)))).toBe(false);
  });

  it('names what is wrong with a stored segment', async () => {
    const store = await openStore(repository);
    for (const number of [1n, 2n, 3n, 4n, 5n]) await put(store, number, makeSegment(number));
    const elsewhere = await openStore(repository, { systemIdentifier: '42' });
    const { key: foreign } = await put(elsewhere, 5n, makeSegment(5n, { systemIdentifier: '42' }));
    truncateSync(pathOf(keyOf(1n)), readFileSync(pathOf(keyOf(1n))).length - 1_000);
    copyFileSync(pathOf(keyOf(3n)), pathOf(keyOf(2n)));
    const flipped = readFileSync(pathOf(keyOf(4n)));
    flipped.writeUInt8(flipped.readUInt8(40_000) ^ 1, 40_000);
    writeFileSync(pathOf(keyOf(4n)), flipped);
    copyFileSync(pathOf(foreign), pathOf(keyOf(5n)));
    const told = {
      1: /truncated/,
      2: /holds another segment: 000000010000000000000003/,
      4: /can't be unpacked|sha-256/,
      5: /another cluster: system identifier 42/,
    };
    for (const [number, message] of Object.entries(told)) {
      const key = keyOf(BigInt(number));
      await expect(read(key)).rejects.toMatchObject({ type: 'ObjectDamaged', message: expect.stringMatching(message) });
      await expect(read(key)).rejects.toMatchObject({ message: expect.stringContaining(key) });
    }
    expect(await read(keyOf(3n))).toHaveLength(mebibyte);
    await expect(read(keyOf(9n))).rejects.toMatchObject({ type: 'NoSuchBackup' });
    const { findings, read: count } = await audit(true);
    expect(count).toBe(5);
    expect(findings.map((finding) => ('key' in finding ? [finding.kind, finding.key] : finding)).sort()).toEqual(
      [1n, 2n, 4n, 5n].map((number) => ['damaged', keyOf(number)]),
    );
  });

  it('finds gaps, objects that are too small and histories that are missing by the names alone', async () => {
    const store = await openStore(repository);
    for (const number of [1n, 2n, 5n, 6n]) await put(store, number, makeSegment(number));
    await put(store, 8n, makeSegment(8n, { timeline: 2 }), 2);
    await put(store, 9n, makeSegment(9n, { timeline: 3 }), 3);
    writeFileSync(pathOf(keyOf(4n)), '');
    writeFileSync(pathOf(`${folder}/00000001/core`), 'x');
    await store.putHistory(2, Buffer.from('1\t0/780000\tno recovery target specified\n'), never);
    expect((await audit(false)).findings).toEqual([
      { kind: 'too-small', key: keyOf(4n), bytes: 0 },
      { kind: 'unknown', key: `${folder}/00000001/core` },
      { kind: 'gap', timeline: 1, first: 3n, last: 4n },
      { kind: 'gap', timeline: 2, first: 7n, last: 7n },
      { kind: 'history-missing', timeline: 3 },
    ]);
    const listed = await listArchive(repository, cluster, systemIdentifier, never);
    expect(listed.segmentBytes).toBe(mebibyte);
    expect([...listed.segments]).toEqual([
      [
        1,
        [
          { first: 1n, last: 2n },
          { first: 5n, last: 6n },
        ],
      ],
      [2, [{ first: 8n, last: 8n }]],
      [3, [{ first: 9n, last: 9n }]],
    ]);
    expect(listed.histories.get(2)).toEqual([{ timeline: 1, switchLsn: 0x780000n }]);
  });

  it('keeps a history as it is, whatever the reasons say, and refuses another', async () => {
    const store = await openStore(repository);
    expect(await store.putHistory(2, Buffer.from('1\t0/780000\tone\n'), never)).toBe('written');
    expect(await store.putHistory(2, Buffer.from('1\t0/780000\ttwo\n'), never)).toBe('existed');
    await expect(store.putHistory(2, Buffer.from('1\t0/790000\tone\n'), never)).rejects.toMatchObject({
      type: 'NameTaken',
    });
    await expect(store.putHistory(3, Buffer.from('nonsense'), never)).rejects.toMatchObject({ type: 'ObjectDamaged' });
    expect(await store.history(2)).toBe('1\t0/780000\tone\n');
    expect(await store.history(3)).toBeUndefined();
  });

  it('keeps the first partial segment of a name, and reads it', async () => {
    const store = await openStore(repository);
    const write = (body: Uint8Array, endLsn: bigint) =>
      store.writePartial(
        { timeline: 1, number: 3n, body, endedAt: () => null, partial: { endLsn } },
        { signal: never },
      );
    const bytes = makeSegment(3n);
    expect(await write(bytes, 0x312345n)).toBe('written');
    expect(await write(bytes, 0x312345n)).toBe('existed');
    expect(await write(makeSegment(3n), 0x322345n)).toBe('kept another');
    expect((await read(keyOf(3n, 'partial.zst')))?.equals(bytes)).toBe(true);
    expect(await store.timeline(1)).toEqual({ runs: [], partials: [3n] });
    expect(await listSystemIdentifiers(repository, cluster)).toEqual([systemIdentifier]);
  });

  it('becomes visible in order: not before its turn, and not at all where that fails', async () => {
    const store = await openStore(repository);
    let let2!: () => void;
    const turn = new Promise<void>((resolve) => {
      let2 = resolve;
    });
    const segment = (number: bigint) => ({ timeline: 1, number, body: makeSegment(number), endedAt: () => null });
    const second = store.write(segment(2n), { signal: never, turn });
    while ((await staged()) === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(existsSync(pathOf(keyOf(2n)))).toBe(false);
    let2();
    await second;
    expect(existsSync(pathOf(keyOf(2n)))).toBe(true);
    await expect(
      store.write(segment(3n), { signal: never, turn: Promise.reject(new Error('the one before failed')) }),
    ).rejects.toThrow('the one before failed');
    expect(existsSync(pathOf(keyOf(3n)))).toBe(false);
    expect(await staged()).toBe(0);
  });

  it('is listed in runs, whatever its length, without keeping the names', async () => {
    const { key } = await put(await openStore(repository), 0n, makeSegment(0n));
    const bytes = await repository.size(key);
    const many = new Proxy(repository, {
      get: (target, name) => {
        if (name === 'list')
          return async function* (): AsyncGenerator<ListedObject> {
            await Promise.resolve();
            for (let number = 0n; number < 100_000n; number += 1n)
              if (number !== 50_000n) yield { key: keyOf(number), bytes: bytes ?? 0, modifiedAt: new Date(0) };
          };
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    const { segments } = await listArchive(many, cluster, systemIdentifier, never);
    expect(segments.get(1)).toEqual([
      { first: 0n, last: 49_999n },
      { first: 50_001n, last: 99_999n },
    ]);
  });
});

describe('a log in a bucket', () => {
  let s3: S3Server;

  beforeAll(async () => {
    s3 = await startS3();
  });
  afterAll(() => s3.stop());

  it('is written once, read, listed and found damaged as in a directory', async () => {
    const spec = newSpec(s3);
    const repository = await openMarked(s3, spec);
    const store = await openStore(repository);
    const bodies = [1n, 2n, 3n].map((number) => makeSegment(number));
    for (const [index, body] of bodies.entries()) await put(store, BigInt(index + 1), body);
    expect(await put(store, 2n, bodies[1] ?? Buffer.alloc(0))).toMatchObject({ existed: true });
    await expect(put(store, 2n, makeSegment(2n))).rejects.toMatchObject({ type: 'NameTaken' });
    const reading = { repository, compressors: await compressors(), signal: never };
    expect((await gather(readSegment(reading, keyOf(2n))))?.equals(bodies[1] ?? Buffer.alloc(0))).toBe(true);
    const { segments } = await listArchive(repository, cluster, systemIdentifier, never);
    expect([...segments]).toEqual([[1, [{ first: 1n, last: 3n }]]]);
    const path = join(s3.directory, spec.s3.prefix, keyOf(3n));
    const damaged = readFileSync(path);
    damaged.writeUInt8(damaged.readUInt8(40_000) ^ 1, 40_000);
    writeFileSync(path, damaged);
    const { findings } = await auditArchive(reading, cluster, systemIdentifier, { deep: true });
    expect(findings).toMatchObject([{ kind: 'damaged', key: keyOf(3n) }]);
  });
});
