import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { HoldfastError } from '../../src/domain/errors.ts';
import { chooseRecovery } from '../../src/domain/recovery-choice.ts';
import type { RecoveryChoice } from '../../src/domain/recovery-pick.ts';
import { recoveryWindows } from '../../src/domain/recovery-window.ts';
import { runWith } from '../../src/domain/wal-archive.ts';
import { formatLsn, parseLsn } from '../../src/domain/wal.ts';
import { recoverArgument } from './physical-samples.ts';
import { anyLife, type Life } from './wal-histories.ts';

/** The system that windows are asked about first. */
const firstOf = ({ bases, archives }: Life) => recoveryWindows({ cluster: 'infra', bases, archives }).systems[0];

function choose({ bases, archives, now }: Life, systemIdentifier: string, target: unknown): RecoveryChoice | string {
  try {
    return chooseRecovery({ argument: recoverArgument(target), bases, archives, systemIdentifier, now });
  } catch (error) {
    if (error instanceof HoldfastError && (error.type === 'PlanHopeless' || error.type === 'NoSuchBackup'))
      return error.message;
    throw error;
  }
}

const shares = fc.integer({ min: 0, max: 1000 });
const between = (from: bigint, to: bigint, share: number) => from + ((to - from) * BigInt(share)) / 1000n;
const runs = { numRuns: 300 };

describe('over any life of a cluster', () => {
  test('every place inside a window is found from a base that was consistent before, through WAL that is all there', () => {
    fc.assert(
      fc.property(anyLife, shares, (life, share) => {
        const system = firstOf(life);
        for (const { from, to, alone } of system?.windows ?? []) {
          const lsn = alone ? parseLsn(from.lsn) : between(parseLsn(from.lsn), parseLsn(to.lsn) - 1n, share);
          const choice = choose(life, system?.systemIdentifier ?? '', { lsn: formatLsn(lsn) });
          if (typeof choice === 'string') throw new Error(choice);
          expect(parseLsn(choice.base.manifest.stopLsn) <= lsn).toBe(true);
          for (const { timeline, first, last } of choice.runs) {
            const there = runWith(choice.track.archive.segments.get(timeline) ?? [], first);
            expect(there && there.last >= last).toBe(true);
          }
          choice.runs.slice(1).forEach(({ first }, index) => {
            expect(first).toBe((choice.runs[index]?.last ?? 0n) + 1n);
          });
        }
      }),
      runs,
    );
  });

  test('every place outside of all windows is refused', () => {
    fc.assert(
      fc.property(anyLife, fc.bigInt({ min: 0n, max: 1n << 31n }), (life, lsn) => {
        const system = firstOf(life);
        fc.pre(system !== undefined && system.bases.length > 0);
        const inside = system.windows.some(({ from, to, alone }) =>
          alone ? lsn === parseLsn(from.lsn) : parseLsn(from.lsn) <= lsn && lsn < parseLsn(to.lsn),
        );
        const choice = choose(life, system.systemIdentifier, { lsn: formatLsn(lsn) });
        expect(typeof choice === 'string').toBe(!inside);
      }),
      runs,
    );
  });

  test('a time never begins with a base that ended later, and latest never ends before something that is archived', () => {
    fc.assert(
      fc.property(anyLife, shares, (life, share) => {
        const system = firstOf(life);
        const ms = Date.UTC(2026, 9, 1) + Math.floor(((life.now.getTime() - Date.UTC(2026, 9, 1)) * share) / 1000);
        const choice = choose(life, system?.systemIdentifier ?? '', { time: new Date(ms).toISOString() });
        if (typeof choice !== 'string')
          expect(Date.parse(choice.base.manifest.serverFinishedAt)).toBeLessThanOrEqual(ms);
        const latest = choose(life, system?.systemIdentifier ?? '', 'latest');
        if (typeof latest !== 'string') {
          const end = latest.track.runs.at(-1);
          const last = latest.runs.at(-1)?.last;
          if (end !== undefined && last !== undefined) expect(last).toBe(end.last);
        }
      }),
      runs,
    );
  });
});
