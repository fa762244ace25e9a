import { describe, expect, test } from '@jest/globals';
import { compareReached, type Asked, type Reached, type Verdict } from '../../src/domain/recovery-reached.ts';
import { recoveryTargetSchema } from '../../src/domain/recovery-target.ts';
import { expectGolden } from '../golden.ts';

const asked = (target: unknown, more: Partial<Asked> = {}): Asked => ({
  target: recoveryTargetSchema.parse(target),
  path: [
    { timeline: 1, from: 0n, to: 0x5000000n },
    { timeline: 2, from: 0x5000000n, to: null },
  ],
  consistentLsn: '0/3000158',
  lastSegmentLsn: '0/9000000',
  ...more,
});
const reached = (more: Partial<Reached> = {}): Reached => ({
  lsn: '0/9000100',
  timeline: 2,
  lastTransactionTime: '2026-11-21T02:00:00.000001+00:00',
  stoppedBy: 'target',
  ...more,
});

const cases: readonly (readonly [string, Asked, Reached, Verdict])[] = [
  ['latest, at the end', asked('latest'), reached({ stoppedBy: 'archive' }), 'as asked'],
  ['latest, short of the end', asked('latest'), reached({ lsn: '0/8000100', stoppedBy: 'archive' }), 'not reached'],
  ['immediate', asked('immediate'), reached({ lsn: '0/3000158', timeline: 1, lastTransactionTime: null }), 'as asked'],
  ['less than consistent', asked('immediate'), reached({ lsn: '0/3000100', timeline: 1 }), 'not reached'],
  ['a time, stopped there', asked({ time: '2026-11-21T02:00:00.000001Z' }), reached(), 'as asked'],
  [
    'a time that excludes the last',
    asked({ time: '2026-11-21T02:00:00.000001Z', inclusive: false }),
    reached(),
    'not reached',
  ],
  ['a time that was passed', asked({ time: '2026-11-21T02:00:00Z' }), reached(), 'not reached'],
  [
    'a time after the last commit',
    asked({ time: '2026-11-21T03:00:00Z' }),
    reached({ stoppedBy: 'archive' }),
    'end of archive',
  ],
  ['a place', asked({ lsn: '0/9000080' }), reached(), 'as asked'],
  ['a place that lies further', asked({ lsn: '0/A000000' }), reached(), 'not reached'],
  [
    'a place that the archive ends before',
    asked({ lsn: '0/A000000' }),
    reached({ stoppedBy: 'archive' }),
    'end of archive',
  ],
  ['a transaction', asked({ xid: '1234' }), reached(), 'as asked'],
  ['a transaction that isn’t there', asked({ xid: '1234' }), reached({ stoppedBy: 'archive' }), 'end of archive'],
  ['a name that isn’t there', asked({ name: 'x' }), reached({ stoppedBy: 'archive' }), 'end of archive'],
  [
    'the right place on the wrong timeline',
    asked('latest'),
    reached({ timeline: 1, stoppedBy: 'archive' }),
    'not reached',
  ],
  ['a switch’s own place', asked({ xid: '5' }), reached({ lsn: '0/5000000', timeline: 1 }), 'as asked'],
  ['a switch’s own place, on the next', asked({ xid: '5' }), reached({ lsn: '0/5000000', timeline: 2 }), 'as asked'],
];

describe('what was reached', () => {
  test.each(cases)('%s', (_, wanted, found, verdict) => {
    expect(compareReached(wanted, found).verdict).toBe(verdict);
  });

  test('is told next to what was asked', () => {
    const text = cases.map(([name, wanted, found]) => {
      const { verdict, words } = compareReached(wanted, found);
      return `${name}: ${verdict}\n${words.map((word) => `  ${word}\n`).join('')}`;
    });
    expectGolden(import.meta.url, 'recovery-reached.txt', text.join(''));
  });
});
