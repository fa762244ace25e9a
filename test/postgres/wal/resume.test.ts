import { describe, expect, it } from '@jest/globals';
import { LagKeeper } from '../../../src/postgres/wal/lag.ts';
import { parseMessage, statusMessage } from '../../../src/postgres/wal/messages.ts';
import { pointOf, resumePoint, type ResumeFacts } from '../../../src/postgres/wal/resume.ts';
import { slotName } from '../../../src/domain/physical-specs.ts';

const segmentBytes = 0x100_0000;
const at = (segment: number, offset = 0) => BigInt(segment) * 0x100_0000n + BigInt(offset);
const runs = (...pairs: [number, number][]) => ({
  runs: pairs.map(([first, last]) => ({ first: BigInt(first), last: BigInt(last) })),
  partials: [] as bigint[],
});

const facts = (more: Partial<ResumeFacts>): ResumeFacts => ({
  segmentBytes,
  timeline: 1,
  history: [],
  archived: new Map(),
  restartLsn: at(1, 5),
  ...more,
});

describe('where archiving goes on', () => {
  it('is the segment that the slot begins in, where nothing is archived', () => {
    expect(resumePoint(facts({}))).toEqual({ timeline: 1, start: at(1), until: null, fresh: true });
  });

  it('is behind the newest archived segment', () => {
    const archived = new Map([[1, runs([1, 4], [7, 9])]]);
    expect(resumePoint(facts({ archived, restartLsn: at(9) }))).toMatchObject({ start: at(10), fresh: false });
  });

  it('is a hole that the slot still keeps', () => {
    const archived = new Map([[1, runs([1, 4], [7, 9])]]);
    expect(resumePoint(facts({ archived, restartLsn: at(5) }))).toMatchObject({ start: at(5) });
    expect(resumePoint(facts({ archived, restartLsn: at(3) }))).toMatchObject({ start: at(5) });
    expect(resumePoint(facts({ archived, restartLsn: at(8) }))).toMatchObject({ start: at(10) });
  });

  it('is behind the newest archived segment also where the slot was made later', () => {
    const archived = new Map([[1, runs([1, 4])]]);
    expect(resumePoint(facts({ archived, restartLsn: at(8) }))).toMatchObject({ start: at(5) });
  });

  const history = [{ timeline: 1, switchLsn: at(6, 100) }];

  it('is the rest of the old timeline, up to where it was left', () => {
    const archived = new Map([[1, runs([1, 4])]]);
    const point = resumePoint(facts({ timeline: 2, history, archived }));
    expect(point).toEqual({ timeline: 1, start: at(5), until: at(6, 100), fresh: false });
  });

  it('is the new timeline from the segment in which it begins, once the rest of the old one is stored', () => {
    const archived = new Map([[1, { ...runs([1, 5]), partials: [6n] }]]);
    const point = resumePoint(facts({ timeline: 2, history, archived }));
    expect(point).toEqual({ timeline: 2, start: at(6), until: null, fresh: false });
  });

  it('is the newest of several timelines that begin in one segment', () => {
    const twice = [...history, { timeline: 2, switchLsn: at(6, 200) }];
    const archived = new Map([
      [1, { ...runs([1, 5]), partials: [6n] }],
      [2, { ...runs([6, 6]), partials: [6n] }],
    ]);
    const point = resumePoint(facts({ timeline: 3, history: twice, archived }));
    expect(point).toEqual({ timeline: 3, start: at(6), until: null, fresh: false });
  });

  it('takes what the old primary wrote behind the switch for no part of the past', () => {
    const archived = new Map([[1, runs([1, 9])]]);
    const point = resumePoint(facts({ timeline: 2, history, archived, restartLsn: at(4) }));
    expect(point).toEqual({ timeline: 1, start: at(6), until: at(6, 100), fresh: false });
  });

  it('needs no partial segment where the old timeline was left between two segments', () => {
    const archived = new Map([[1, runs([1, 5])]]);
    const left = [{ timeline: 1, switchLsn: at(6) }];
    expect(resumePoint(facts({ timeline: 2, history: left, archived }))).toMatchObject({ timeline: 2, start: at(6) });
  });

  it('belongs to the timeline that a place lies on', () => {
    expect(pointOf(at(3, 9), facts({ timeline: 2, history }))).toMatchObject({ timeline: 1, start: at(3) });
    expect(pointOf(at(6, 101), facts({ timeline: 2, history }))).toMatchObject({ timeline: 2, start: at(6) });
  });
});

describe('the age of what is not archived', () => {
  const second = (value: number) => new Date(Date.UTC(2026, 10, 21, 2, 0, value));

  it('counts from when the log last ended at what is archived', () => {
    const lag = new LagKeeper(10n, second(0));
    lag.observe(10n, second(20));
    lag.observe(15n, second(30));
    expect(lag.secondsAt(second(50), 15n)).toBe(30);
    lag.archive(15n);
    expect(lag.secondsAt(second(50), 15n)).toBe(0);
    expect(lag.secondsAt(second(50), 16n)).toBe(20);
  });

  it('stays small in memory and about right, however long it lasts', () => {
    const lag = new LagKeeper(0n, second(0));
    for (let value = 1; value < 50_000; value += 1) lag.observe(BigInt(value), second(value));
    lag.archive(40_000n);
    const seconds = lag.secondsAt(second(50_000), 50_000n);
    expect(seconds).toBeGreaterThanOrEqual(10_000);
    expect(seconds).toBeLessThan(10_200);
  });
});

describe('the stream', () => {
  it('has messages of two kinds, and none else', () => {
    const wal = Buffer.alloc(30);
    wal.write('w');
    wal.writeBigUInt64BE(5n, 1);
    wal.writeBigUInt64BE(9n, 9);
    wal.writeBigInt64BE(1_000_000n, 17);
    expect(parseMessage(wal)).toMatchObject({
      kind: 'wal',
      start: 5n,
      serverEnd: 9n,
      sentAt: new Date('2000-01-01T00:00:01Z'),
    });
    expect(() => parseMessage(Buffer.from('x'))).toThrow(/nobody knows/);
    expect(() => parseMessage(Buffer.alloc(0))).toThrow(/nobody knows/);
    expect(() => parseMessage(wal.subarray(0, 20))).toThrow(/20 bytes/);
  });

  it('is answered with places and a clock', () => {
    const message = statusMessage({ written: 7n, flushed: 3n, at: new Date('2000-01-01T00:00:01Z'), wantsReply: true });
    expect([message.readBigUInt64BE(1), message.readBigUInt64BE(9), message.readBigInt64BE(25)]).toEqual([
      7n,
      3n,
      1_000_000n,
    ]);
    expect(message).toHaveLength(34);
    expect(message[33]).toBe(1);
  });
});

it('a slot has a name that PostgreSQL takes, and no two clusters the same', () => {
  const name = slotName('homelab', 'infra');
  expect(name).toMatch(/^holdfast_homelab_infra_[0-9a-f]{8}$/);
  expect(slotName('a', 'b-c')).not.toBe(slotName('a-b', 'c'));
  expect(slotName('a'.repeat(63), 'b'.repeat(63))).toMatch(/^[a-z0-9_]{63}$/);
});
