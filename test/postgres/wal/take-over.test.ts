import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { segmentName } from '../../../src/domain/wal.ts';
import { inOrder, parseArchiveFile } from '../../../src/postgres/wal/archive-file.ts';
import { takeOverDirectory, type TakeOverInput } from '../../../src/postgres/wal/take-over.ts';
import { openDirectory } from '../../../src/storage/directory.ts';
import type { WalArchiveStore } from '../../../src/storage/wal/archive.ts';
import { makeSegment, never, openStore, put, systemIdentifier } from '../../storage/wal/segments.ts';
import {
  bytesOf,
  compressors,
  makePlace,
  mebibyte,
  pgbench,
  sinkFor,
  switchWal,
  until,
  type Place,
} from './archiving.ts';

let place: Place;
let directory: string;

beforeEach(async () => {
  place = await makePlace();
  directory = mkdtempSync(join(tmpdir(), 'holdfast-archive-'));
});
afterEach(async () => {
  rmSync(directory, { recursive: true, force: true });
  await place.close();
});

const takeOver = async (sink: WalArchiveStore, more: Partial<TakeOverInput> = {}) =>
  takeOverDirectory({
    directory,
    sink,
    segmentBytes: mebibyte,
    compressors: await compressors(),
    signal: never,
    ...more,
  });

const old = new Date('2026-11-20T02:00:00Z');
const pathOf = (name: string) => join(directory, name);
const leave = (name: string, bytes: Uint8Array | string, at: Date | null = old) => {
  writeFileSync(pathOf(name), bytes);
  if (at !== null) utimesSync(pathOf(name), at, at);
};
const nameOf = (number: bigint, timeline = 1) => segmentName(timeline, number, mebibyte);
const packed = (tool: string, bytes: Uint8Array) => execFileSync(tool, ['-c'], { input: bytes });

describe('taking over what archive_command left', () => {
  it('stores segments of every compression, histories, notes and partial ones, and removes what is safe', async () => {
    const store = await openStore(place.repository);
    const bodies = new Map([1n, 2n, 3n, 4n].map((number) => [number, makeSegment(number)]));
    const body = (number: bigint) => bodies.get(number) ?? Buffer.alloc(0);
    leave(nameOf(1n), body(1n));
    leave(`${nameOf(2n)}.gz`, packed('gzip', body(2n)));
    leave(`${nameOf(3n)}.zst`, packed('zstd', body(3n)));
    leave(`${nameOf(4n)}.partial`, body(4n));
    leave('00000002.history', '1\t0/480000\tno recovery target specified\n');
    leave(`${nameOf(2n)}.00000028.backup`, 'START WAL LOCATION: 0/200028\n');
    leave('notes.txt', 'mine');
    const reports: number[] = [];
    const result = await takeOver(store, { onReport: ({ freeBytes }) => reports.push(freeBytes) });
    expect(result).toMatchObject({
      taken: 6,
      segments: 3,
      removed: 6,
      toDo: 0,
      left: [],
      ignored: 1,
      takenLsn: 0x400000n,
    });
    expect(Math.min(...reports)).toBeGreaterThan(0);
    expect(readdirSync(directory)).toEqual(['notes.txt']);
    for (const number of [1n, 2n, 3n]) expect((await bytesOf(store, nameOf(number))).equals(body(number))).toBe(true);
    expect(await store.timeline(1)).toEqual({ runs: [{ first: 1n, last: 3n }], partials: [4n] });
    expect(await store.history(2)).toContain('0/480000');
    expect(
      existsSync(join(place.directory, `infra/wal/${systemIdentifier}/00000001/${nameOf(2n)}.00000028.backup`)),
    ).toBe(true);
  });

  it('leaves what is not whole, foreign or different, says why, and goes on', async () => {
    const store = await openStore(place.repository);
    await put(store, 2n, makeSegment(2n));
    leave(nameOf(1n), makeSegment(1n).subarray(0, mebibyte / 2));
    leave(nameOf(2n), makeSegment(2n));
    leave(nameOf(3n), makeSegment(3n, { systemIdentifier: '42' }));
    leave(nameOf(4n), makeSegment(5n));
    leave(`${nameOf(5n)}.gz`, packed('gzip', makeSegment(5n)).subarray(0, 5_000));
    leave(nameOf(6n), makeSegment(6n));
    execFileSync('ln', ['-s', '/dev/zero', pathOf(nameOf(7n))]);
    execFileSync('mkfifo', [pathOf(`${nameOf(8n)}.gz`)]);
    const { left, leftCount, taken } = await takeOver(store, { settleMs: 0 });
    expect(taken).toBe(1);
    expect(leftCount).toBe(7);
    expect(left.map(({ name, type }) => [name, type])).toEqual([
      [nameOf(1n), 'ObjectDamaged'],
      [nameOf(2n), 'NameTaken'],
      [nameOf(3n), 'ObjectDamaged'],
      [nameOf(4n), 'ObjectDamaged'],
      [`${nameOf(5n)}.gz`, 'ToolFailed'],
      [nameOf(7n), 'ObjectDamaged'],
      [`${nameOf(8n)}.gz`, 'ObjectDamaged'],
    ]);
    expect(left[1]?.reason).toMatch(/sha-256 [0-9a-f]{64} there, [0-9a-f]{64} to be stored/);
    expect(left[2]?.reason).toContain('system identifier 42');
    expect(existsSync(pathOf(nameOf(6n)))).toBe(false);
  });

  it('waits for the newest until it has rested or a later one lies beside it', async () => {
    const store = await openStore(place.repository);
    leave(nameOf(1n), makeSegment(1n), null);
    const first = await takeOver(store, { settleMs: 3_600_000 });
    expect(first).toMatchObject({ taken: 0, left: [{ name: nameOf(1n), type: 'waiting' }] });
    // cp is at it: the name is there, half of the bytes too.
    leave(nameOf(2n), makeSegment(2n).subarray(0, mebibyte / 2), null);
    const second = await takeOver(store, { settleMs: 3_600_000 });
    expect(second).toMatchObject({ taken: 1, left: [{ name: nameOf(2n), type: 'waiting' }] });
    expect(readdirSync(directory)).toEqual([nameOf(2n)]);
  });

  it('keeps the files where that is wanted, and removes them later though they are stored', async () => {
    const store = await openStore(place.repository);
    leave(nameOf(1n), makeSegment(1n));
    expect(await takeOver(store, { keep: true })).toMatchObject({ taken: 1, removed: 0 });
    expect(existsSync(pathOf(nameOf(1n)))).toBe(true);
    expect(await takeOver(store)).toMatchObject({ taken: 1, removed: 1, removedBytes: mebibyte });
  });

  it('removes nothing that does not read back from the store as it was', async () => {
    const real = openDirectory({ directory: place.directory, readBack: false });
    const liar = new Proxy(real, {
      get: (target, name) => {
        if (name === 'publish')
          return async (...args: Parameters<typeof real.publish>) => {
            const stored = await target.publish(...args);
            const path = join(place.directory, stored.key);
            const bytes = readFileSync(path);
            bytes.writeUInt8(bytes.readUInt8(40_000) ^ 1, 40_000);
            writeFileSync(path, bytes);
            return stored;
          };
        const member: unknown = Reflect.get(target, name);
        return typeof member === 'function' ? (member.bind(target) as unknown) : member;
      },
    });
    leave(nameOf(1n), makeSegment(1n));
    const { left, removed } = await takeOver(await openStore(liar));
    expect(removed).toBe(0);
    expect(left).toMatchObject([{ name: nameOf(1n), type: 'ObjectDamaged' }]);
    expect(existsSync(pathOf(nameOf(1n)))).toBe(true);
  });

  it('says so where the directory is not there', async () => {
    const store = await openStore(place.repository);
    await expect(takeOver(store, { directory: join(directory, 'gone') })).rejects.toMatchObject({
      type: 'StoreNotMounted',
    });
  });
});

describe('a name in an archive directory', () => {
  it.each([
    ['000000010000000000000042', { kind: 'segment', timeline: 1, number: 66n, compression: 'none' }],
    ['000000010000000000000042.gz', { kind: 'segment', compression: 'gzip' }],
    ['000000010000000000000042.partial.zst', { kind: 'partial', compression: 'zstd' }],
    ['0000000A.history', { kind: 'history', timeline: 10, compression: 'none' }],
    [
      '000000010000000000000042.00000028.backup',
      { kind: 'label', plainName: '000000010000000000000042.00000028.backup' },
    ],
  ])('tells what it is: %s', (name, expected) => {
    expect(parseArchiveFile(name, 16 * mebibyte)).toMatchObject(expected);
  });

  it.each([
    '000000010000000000000142',
    '0000000A.backup',
    '0000000A',
    '000000010000000000000042.lz4',
    '.00000001.history',
    '000000010000000000000042.backup',
  ])('is no such name: %s', (name) => {
    expect(parseArchiveFile(name, 16 * mebibyte)).toBeUndefined();
  });

  it('comes in the order in which it is needed', () => {
    const names = [
      '000000020000000000000001',
      '00000002.history',
      '000000010000000000000001',
      '000000010000000000000001.partial',
    ];
    const files = names.map((name) => parseArchiveFile(name, 16 * mebibyte)).filter((file) => file !== undefined);
    expect(inOrder(files).map(({ name }) => name)).toEqual([names[1], names[2], names[0], names[3]]);
  });
});

describe('the archive_command of a real server', () => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({
      major: 15,
      settings: { archive_mode: 'on', archive_command: 'false', wal_keep_size: '1GB' },
    });
  });
  afterAll(() => server.stop());

  it('is taken over while it goes on, byte for byte', async () => {
    const owner = serverUser();
    if (owner !== undefined) execFileSync('chown', [owner.name, directory]);
    await server.psql('postgres', `ALTER SYSTEM SET archive_command = 'cp %p ${directory}/%f'`);
    await server.psql('postgres', 'SELECT pg_reload_conf()');
    const identifier = await server.psql('postgres', 'SELECT system_identifier FROM pg_control_system()');
    const segmentBytes = 16 * mebibyte;
    const store = (await sinkFor(place.repository))({ systemIdentifier: identifier, segmentBytes });
    const writing = pgbench(server, '-i', '-q', '-s', '15');
    const state = { over: false };
    void writing.finally(() => (state.over = true));
    while (!state.over) await takeOver(store, { segmentBytes });
    await writing;
    const end = await switchWal(server);
    const last = segmentName(1, end / BigInt(segmentBytes) - 1n, segmentBytes);
    await until(undefined, () => existsSync(pathOf(last)) && readFileSync(pathOf(last)).length === segmentBytes);
    const result = await takeOver(store, { segmentBytes, settleMs: 0 });
    expect(result).toMatchObject({ takenLsn: end, left: [] });
    expect(readdirSync(directory)).toEqual([]);
    const { runs } = await store.timeline(1);
    expect(runs).toHaveLength(1);
    for (let number = runs[0]?.first ?? 0n; number <= (runs[0]?.last ?? -1n); number += 1n) {
      const name = segmentName(1, number, segmentBytes);
      expect((await bytesOf(store, name)).equals(readFileSync(join(server.dataDir, 'pg_wal', name)))).toBe(true);
    }
  });
});
