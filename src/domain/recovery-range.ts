import type { BaseBackup } from './base-manifest.ts';
import type { Track } from './base-state.ts';
import { HoldfastError } from './errors.ts';
import { windowsAlong } from './recovery-window.ts';
import { moment } from './render-window.ts';
import type { Archived } from './wal-archive.ts';

const shown = 5;

/** What is possible along a timeline, in one sentence: the newest windows, and the other timelines' command. */
export function describeRange(cluster: string, track: Track, bases: readonly BaseBackup[], archived: Archived): string {
  const { windows } = windowsAlong(track, bases, archived);
  const ranges = windows
    .slice(-shown)
    .map(({ from, to, alone }) =>
      alone
        ? `to ${moment(from.time)} (${from.lsn}) alone`
        : `from ${moment(from.time)} (${from.lsn}) to ${moment(to.time)} (before ${to.lsn})`,
    );
  const along = `on the way to timeline ${String(track.timeline)}`;
  return ranges.length === 0
    ? `${along} nothing can be recovered; 'holdfast window ${cluster}' shows why`
    : `${along} cluster ${cluster} can be recovered ${ranges.join(', and ')}; 'holdfast window ${cluster}' draws it`;
}

/** A refusal that shows what is possible instead. */
export const hopelessRange = (message: string, range: string) => new HoldfastError('PlanHopeless', message, range);
