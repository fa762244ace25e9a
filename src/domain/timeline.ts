import { HoldfastError } from './errors.ts';
import { parseLsn, type Lsn } from './wal.ts';

/** Where a timeline was left for the next one, oldest first; the first timeline has no history. */
export type TimelineHistory = readonly TimelineSwitch[];

export interface TimelineSwitch {
  /** The timeline that was left … */
  readonly timeline: number;
  /** … at this place: what lies before it is common with the next. */
  readonly switchLsn: Lsn;
}

/**
 * Reads a .history file as PostgreSQL writes it: lines of timeline, place and reason; comments begin with '#'. Throws
 * ObjectDamaged that names the file where a line is none, or timelines or places don't rise.
 */
export function parseHistory(text: string, name: string): TimelineHistory {
  const switches: TimelineSwitch[] = [];
  for (const [index, line] of text.split('\n').entries()) {
    const content = line.replace(/#.*/, '').trim();
    if (content === '') continue;
    const match = /^([0-9]+)\s+([0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8})(\s|$)/.exec(content);
    const last = switches.at(-1);
    const found = match && { timeline: Number(match[1]), switchLsn: parseLsn(match[2] ?? '') };
    if (!found || (last && (found.timeline <= last.timeline || found.switchLsn < last.switchLsn)))
      throw new HoldfastError(
        'ObjectDamaged',
        `${name}, line ${String(index + 1)}, is no line of a timeline history`,
        'a history file lists timelines and the places where they were left, in rising order; restore the file from elsewhere',
      );
    switches.push(found);
  }
  return switches;
}
