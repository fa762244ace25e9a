import { oneLine } from './format.ts';
import { describeTarget, microsOf, parseInstant, type RecoveryTarget } from './recovery-target.ts';
import { parseLsn } from './wal.ts';

/**
 * Where a recovery by CloudNativePG ended. It promotes at the target, so the instance itself can't be asked any more:
 * PostgreSQL's own history of the new timeline says where and why the old one was left, and the log of the recovery which
 * transaction was the last.
 */
export interface CnpgReached {
  /** Of the new Cluster; null: it could not be asked. */
  readonly timeline: number | null;
  readonly systemIdentifier: string | null;
  /** Where the old timeline was left, and PostgreSQL's words why; null: neither history nor log could be read. */
  readonly left: { readonly timeline: number; readonly lsn: string; readonly why: string } | null;
  /** Commit time of the last transaction that was replayed; null: not known. */
  readonly lastTransactionTime: string | null;
}

export interface CnpgComparison {
  readonly verdict: 'as asked' | 'not as asked' | 'not known';
  /** What was asked and what was reached, a sentence each. */
  readonly words: readonly string[];
}

/** The last line of a .history file: timeline, place, and why PostgreSQL stopped there. */
export function leftIn(history: string): CnpgReached['left'] {
  const line = history
    .split('\n')
    .map((text) => text.trim())
    .findLast((text) => /^[0-9]/.test(text));
  const match = /^([0-9]+)\s+([0-9A-F]{1,8}\/[0-9A-F]{1,8})\s+(.*)$/i.exec(line ?? '');
  if (match === null) return null;
  return { timeline: Number(match[1]), lsn: (match[2] ?? '').toUpperCase(), why: (match[3] ?? '').trim() };
}

/** The same from the log of the recovery, where nobody may read the history. */
export function leftByLog(log: readonly string[], timeline: number): CnpgReached['left'] {
  const stopping = log.findLast((line) => line.includes('recovery stopping '));
  const redo = log.findLast((line) => line.includes('redo done at '));
  const lsn = /redo done at ([0-9A-F]+\/[0-9A-F]+)/i.exec(redo ?? '')?.[1];
  if (lsn === undefined) return null;
  const why = stopping === undefined ? 'no recovery target specified' : stopping.replace(/^.*recovery stopping /, '');
  return { timeline, lsn, why };
}

/** "last completed transaction was at log time 2026-11-21 22:44:21.12+00"; null: the log doesn't say. */
export function lastTransactionIn(log: readonly string[]): string | null {
  const line = log.findLast((text) => text.includes('last completed transaction was at log time '));
  const text = /at log time (.+)$/.exec(line ?? '')?.[1];
  return text === undefined ? null : (parseInstant(text.trim())?.text ?? null);
}

/** What was reached next to what was asked, as far as anybody can know it. */
export function compareCnpgReached(
  target: RecoveryTarget,
  base: { readonly endLsn: string; readonly systemIdentifier: string | null },
  reached: CnpgReached,
): CnpgComparison {
  const asked = `asked for ${describeTarget(target)}`;
  const { left, timeline, lastTransactionTime } = reached;
  if (left === null)
    return {
      verdict: 'not known',
      words: [
        asked,
        'CloudNativePG says that it is recovered; where it stopped could not be read, neither from its timeline’s history (that takes a superuser) nor from the log of the recovery, which is gone',
      ],
    };
  const flaw = flawOf(target, base, reached, left);
  return {
    verdict: flaw === undefined ? 'as asked' : 'not as asked',
    words: [
      asked,
      `reached ${left.lsn} on timeline ${String(left.timeline)}, and was promoted there${timeline === null ? '' : ` to timeline ${String(timeline)}`}; PostgreSQL's reason: ${oneLine(left.why === '' ? 'none given' : left.why)}`,
      lastTransactionTime === null
        ? 'which transaction was the last is not known: the log of the recovery does not say'
        : `the last transaction was committed at ${lastTransactionTime}`,
      ...(flaw === undefined ? [] : [flaw]),
    ],
  };
}

/** What contradicts the target, by PostgreSQL's own words. */
function flawOf(
  target: RecoveryTarget,
  base: { readonly endLsn: string; readonly systemIdentifier: string | null },
  { systemIdentifier, lastTransactionTime }: CnpgReached,
  { lsn, why }: NonNullable<CnpgReached['left']>,
): string | undefined {
  if (base.systemIdentifier !== null && systemIdentifier !== null && base.systemIdentifier !== systemIdentifier)
    return `that is system ${systemIdentifier}, and the base backup is of ${base.systemIdentifier}`;
  if (parseLsn(lsn) < parseLsn(base.endLsn))
    return `that is before ${base.endLsn}, where the base backup is consistent`;
  const ended = why.startsWith('no recovery target specified');
  if (target.kind === 'latest') return ended ? undefined : 'a recovery of everything has no target to stop at';
  if (ended) return 'that is the end of the archive, and not the target';
  if (target.kind === 'time' && lastTransactionTime !== null) {
    const [last, at] = [microsOf(lastTransactionTime), microsOf(target.at)];
    if (last > at || (last === at && !target.inclusive)) return 'that is later than what was asked for';
  }
  return undefined;
}
