import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { drillKey, drillOf, drillOutcome, verificationKey, verificationOf } from '../../src/domain/evidence.ts';

const at = (second: number) => new Date(Date.UTC(2026, 10, 21, 2, 0, second));
const key = (second: number, outcome: 'passed' | 'failed', nonce = 'a1b2c3d4') =>
  verificationKey('jigga', 'b1', at(second), nonce, outcome);

describe('the evidence of a verification', () => {
  test('lies beside its cluster’s backups and says in its name how it ended', () => {
    expect(key(0, 'passed')).toBe('jigga/evidence/b1/verify-20261121-020000-a1b2c3d4-passed.json');
  });

  test('that is newest is what is known of a backup', () => {
    expect(verificationOf([key(1, 'failed'), key(2, 'passed')])('jigga', 'b1')).toBe('passed');
    expect(verificationOf([key(2, 'passed'), key(3, 'failed')])('jigga', 'b1')).toBe('failed');
    expect(verificationOf([key(3, 'failed'), key(2, 'passed')])('jigga', 'b1')).toBe('failed');
  });

  test('of the same second counts as failed, whichever comes first', () => {
    const same = [key(1, 'passed', 'x'), key(1, 'failed', 'y')];
    expect(verificationOf(same)('jigga', 'b1')).toBe('failed');
    expect(verificationOf(same.toReversed())('jigga', 'b1')).toBe('failed');
  });

  test('is of one backup of one cluster, and other files are none', () => {
    const known = verificationOf([
      key(1, 'passed'),
      'jigga/evidence/b2/drill-20261121-020000.json',
      'jigga/evidence/b3/verify-20261121-020000-x-maybe.json',
      'jigga/evidence/b4/deeper/verify-20261121-020000-x-passed.json',
      'evidence/b5/verify-20261121-020000-x-passed.json',
    ]);
    expect(['b1', 'b2', 'b3', 'b4', 'b5'].map((backup) => known('jigga', backup))).toEqual([
      'passed',
      'none',
      'none',
      'none',
      'none',
    ]);
    expect(known('infra', 'b1')).toBe('none');
  });

  test('is found again whatever order the keys are listed in', () => {
    const entry = fc.record({
      second: fc.integer({ min: 0, max: 59 }),
      outcome: fc.constantFrom('passed' as const, 'failed' as const),
    });
    fc.assert(
      fc.property(fc.array(entry, { minLength: 1 }), (entries) => {
        const last = Math.max(...entries.map(({ second }) => second));
        const failed = entries.some(({ second, outcome }) => second === last && outcome === 'failed');
        const keys = entries.map(({ second, outcome }) => key(second, outcome));
        expect(verificationOf(keys)('jigga', 'b1')).toBe(failed ? 'failed' : 'passed');
      }),
    );
  });
});

describe('the evidence of a drill', () => {
  const drill = (second: number, outcome: 'passed' | 'failed') =>
    drillKey('jigga', 'b1', at(second), 'a1b2c3d4', outcome);

  test('says in its name how it ended, and is told apart from a verification’s', () => {
    expect(drill(0, 'passed')).toBe('jigga/evidence/b1/drill-20261121-020000-a1b2c3d4-passed.json');
    const keys = [key(1, 'failed'), drill(2, 'passed')];
    expect([verificationOf(keys)('jigga', 'b1'), drillOf(keys)('jigga', 'b1')]).toEqual(['failed', 'passed']);
    expect([verificationOf([drill(1, 'passed')])('jigga', 'b1'), drillOf([key(1, 'passed')])('jigga', 'b1')]).toEqual([
      'none',
      'none',
    ]);
  });

  test('that is newest counts, and of the same second the failure', () => {
    expect(drillOf([drill(2, 'passed'), drill(1, 'failed')])('jigga', 'b1')).toBe('passed');
    expect(drillOf([drill(2, 'passed'), drill(2, 'failed')])('jigga', 'b1')).toBe('failed');
    expect(drillOf([drill(2, 'passed')])('infra', 'b1')).toBe('none');
  });

  test('has passed when something was checked and nothing failed', () => {
    const outcomes = (...list: ('passed' | 'failed' | 'skipped')[]) => list.map((outcome) => ({ outcome }));
    expect(drillOutcome(outcomes('passed', 'skipped'))).toBe('passed');
    expect(drillOutcome(outcomes('passed', 'failed'))).toBe('failed');
    expect(drillOutcome(outcomes('skipped'))).toBe('failed');
    expect(drillOutcome([])).toBe('failed');
  });
});
