import { describe, expect, test } from '@jest/globals';
import { showSuspended, showSuspensions } from '../../src/cli/show-suspended.ts';
import { judgeSuspension, type Suspended } from '../../src/cli/suspend-verdict.ts';
import type { ScheduleStanding } from '../../src/client/schedules.ts';
import { HoldfastError } from '../../src/domain/errors.ts';
import type { Imported, Outcome } from '../../src/kubernetes/scheduled-backups/imported.ts';
import { expectGolden } from '../golden.ts';
import { desk, outputAt } from './command-line.ts';

const imported = (outcome: Outcome, suspended = false): Imported => ({
  namespace: 'production',
  name: 'nightly',
  cluster: 'logto',
  schedule: '0 0 2 * * *',
  fiveFields: { cron: '0 2 * * *', timezone: undefined },
  suspended,
  resourceVersion: '41',
  outcome,
  notes: [],
});
const known = { kind: 'known', policy: 'logto-nightly' } as const;
const runs: ScheduleStanding = {
  state: 'runs',
  next: new Date('2026-11-22T02:00:00Z'),
  since: new Date('2026-11-01T00:00:00Z'),
};

describe('a ScheduledBackup', () => {
  test('rests once a schedule in Temporal does its work', () => {
    expect(judgeSuspension(imported(known), runs)).toMatchObject({
      verdict: 'suspend',
      policy: 'logto-nightly',
      next: new Date('2026-11-22T02:00:00Z'),
    });
  });

  test.each(['unwanted', 'missing', 'foreign', 'paused', 'over'] as const)(
    'goes on while the schedule of its policy is %s',
    (state) => {
      expect(judgeSuspension(imported(known), { state })).toMatchObject({
        verdict: 'left',
        why: expect.stringContaining('logto-nightly'),
      });
    },
  );

  test.each<Outcome>([
    { kind: 'policy', policy: 'nightly', section: { cluster: 'logto', method: 'cnpg', cnpg: {} } },
    { kind: 'refused', why: 'its schedule runs at second 30', cure: 'set its seconds to 0' },
  ])('goes on where the configuration has no policy for it: $kind', (outcome) => {
    expect(judgeSuspension(imported(outcome), undefined)).toMatchObject({
      verdict: 'left',
      why: 'no policy of the configuration does its work',
    });
  });

  test('that rests already is left alone', () => {
    expect(judgeSuspension(imported(known, true), undefined).verdict).toBe('suspended already');
  });
});

test('what is suspended is shown before, and after it with its way back', () => {
  const at = desk();
  const output = outputAt(at);
  const verdicts = [
    judgeSuspension(imported(known), runs),
    judgeSuspension(imported(known), { state: 'missing' }),
    judgeSuspension(imported(known, true), undefined),
  ];
  showSuspensions(output, verdicts);
  const failed = new HoldfastError('Busy', "can't suspend ScheduledBackup production/nightly: changed", 'try again');
  const done: Suspended[] = [
    { imported: imported(known), policy: 'logto-nightly', error: null },
    { imported: imported(known), policy: 'logto-nightly', error: failed },
  ];
  showSuspended(output, done);
  expectGolden(import.meta.url, 'suspended.txt', `${at.stdout.text}---\n${at.stderr.text}`);
});
