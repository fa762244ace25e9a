import { describe, expect, test } from '@jest/globals';
import {
  compareCnpgReached,
  lastTransactionIn,
  leftByLog,
  leftIn,
  type CnpgReached,
} from '../../src/domain/cnpg-recovery-reached.ts';
import { recoveryTargetSchema } from '../../src/domain/recovery-target.ts';

const target = (written: unknown) => recoveryTargetSchema.parse(written);
const base = { endLsn: '0/4000158', systemIdentifier: '7710' };
const log = [
  'LOG: redo starts at 0/4000028',
  'LOG: recovery stopping before commit of transaction 758, time 2026-11-21 22:44:23.307882+00',
  'LOG: redo done at 0/600BCB8 system usage: CPU: user: 0.00 s',
  'LOG: last completed transaction was at log time 2026-11-21 22:44:19.886429+00',
];
const reached = (why: string, more: Partial<CnpgReached> = {}): CnpgReached => ({
  timeline: 2,
  systemIdentifier: '7710',
  left: { timeline: 1, lsn: '0/600BCB8', why },
  lastTransactionTime: null,
  ...more,
});

describe('what a recovery by CloudNativePG reached', () => {
  test('is read from the last line of the new timeline’s history', () => {
    const history =
      '1\t0/3000000\tno recovery target specified\n\n2\t0/600BCB8\tbefore 2026-11-21 22:44:23.307882+00\n';
    expect(leftIn(history)).toEqual({ timeline: 2, lsn: '0/600BCB8', why: 'before 2026-11-21 22:44:23.307882+00' });
    expect(leftIn('')).toBeNull();
  });

  test('is read from the log where nobody may read the history', () => {
    expect(leftByLog(log, 1)).toEqual({
      timeline: 1,
      lsn: '0/600BCB8',
      why: 'before commit of transaction 758, time 2026-11-21 22:44:23.307882+00',
    });
    expect(lastTransactionIn(log)).toBe('2026-11-21T22:44:19.886429+00:00');
    expect(leftByLog([], 1)).toBeNull();
    expect(lastTransactionIn(['LOG: redo done at 0/1'])).toBeNull();
  });

  test('is said beside what was asked, and what nobody can know as well', () => {
    const moment = target({ time: '2026-11-21T22:44:21Z' });
    expect(compareCnpgReached(moment, base, reached('before 2026-11-21 22:44:23.307882+00'))).toEqual({
      verdict: 'as asked',
      words: [
        'asked for the time 2026-11-21T22:44:21Z',
        "reached 0/600BCB8 on timeline 1, and was promoted there to timeline 2; PostgreSQL's reason: before 2026-11-21 22:44:23.307882+00",
        'which transaction was the last is not known: the log of the recovery does not say',
      ],
    });
    expect(compareCnpgReached(moment, base, reached('', { left: null })).verdict).toBe('not known');
  });

  const late = { lastTransactionTime: '2026-11-21T22:44:22+00:00' };
  test.each<[string, unknown, CnpgReached, string]>([
    ['everything', 'latest', reached('no recovery target specified'), 'as asked'],
    ['a restore point', { name: 'before' }, reached('at restore point "before"'), 'as asked'],
    ['a transaction', { xid: 758 }, reached('after transaction 758'), 'as asked'],
    [
      'a place that it stopped at the end of',
      { lsn: '0/7000000' },
      reached('no recovery target specified'),
      'not as asked',
    ],
    [
      'a time that the last transaction is later than',
      { time: '2026-11-21T22:44:21Z' },
      reached('before 2026', late),
      'not as asked',
    ],
    [
      'everything, of another system',
      'latest',
      reached('no recovery target specified', { systemIdentifier: '1' }),
      'not as asked',
    ],
    [
      'a moment before the base backup is consistent',
      'immediate',
      reached('reached consistency', { left: { timeline: 1, lsn: '0/4000100', why: 'reached consistency' } }),
      'not as asked',
    ],
  ])('for %s', (_, written, found, verdict) => {
    expect(compareCnpgReached(target(written), base, found).verdict).toBe(verdict);
  });
});
