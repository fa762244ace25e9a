import type { SystemWindows } from './recovery-window.ts';
import { parseLsn, type Lsn } from './wal.ts';

/**
 * A drawing of a system's log in 78 columns of ASCII: a row for each timeline, a mark for each base backup, WAL as a
 * line, dates below. Places are drawn at the times that are known of them, and between two of those in proportion.
 */

const labelWidth = 12;
const plotWidth = 64;

interface Known {
  readonly lsn: Lsn;
  readonly ms: number;
}

export function drawTimeline(system: SystemWindows, now: Date): string[] {
  const known = knownTimes(system, now);
  const [first, last] = [known[0], known.at(-1)];
  if (first === undefined || last === undefined) return ['(nothing to draw)'];
  const column = columnOf(known, first.ms, last.ms);
  const rows = timelineRows(system);
  const drawn = rows.map((row) => drawRow(system, row, column));
  const named = drawn.map(
    (cells, index) => `${`timeline ${String(rows[index]?.timeline)}`.padEnd(labelWidth)}  ${cells.join('')}`,
  );
  return [...named, ...axis(first.ms, last.ms), '', legend(drawn.flat())];
}

/** Times never fall as places rise: a clock that was set back would draw the log over itself. */
function knownTimes(system: SystemWindows, now: Date): Known[] {
  const points: Known[] = [];
  const add = (lsn: string, time: string | null) => {
    if (time !== null) points.push({ lsn: parseLsn(lsn), ms: Date.parse(time) });
  };
  for (const { lsn, time } of [...system.bases, ...system.broken]) add(lsn, time);
  for (const { to } of system.windows) add(to.lsn, to.time);
  points.sort(byPlace);
  const end = endOf(system);
  const latest = points.at(-1);
  if (end !== undefined && latest !== undefined && end > latest.lsn)
    points.push({ lsn: end, ms: Math.max(now.getTime(), latest.ms) });
  let highest = -Infinity;
  return points.map(({ lsn, ms }) => {
    highest = Math.max(highest, ms);
    return { lsn, ms: highest };
  });
}

const byPlace = (a: Known, b: Known) => (a.lsn === b.lsn ? a.ms - b.ms : a.lsn < b.lsn ? -1 : 1);

function endOf({ windows, unreachable, gaps }: SystemWindows): Lsn | undefined {
  const ends = [
    ...windows.map(({ to }) => to.lsn),
    ...unreachable.map(({ to }) => to),
    ...gaps.map(({ before }) => before),
  ];
  return ends
    .map(parseLsn)
    .reduce<Lsn | undefined>((most, lsn) => (most === undefined || lsn > most ? lsn : most), undefined);
}

/** The column of a place: 0 to plotWidth - 1, rising with it. */
function columnOf(known: readonly Known[], from: number, to: number): (lsn: Lsn) => number {
  const scale = to > from ? (plotWidth - 1) / (to - from) : 0;
  return (lsn) => {
    const after = known.findIndex((point) => point.lsn >= lsn);
    const right = known[after === -1 ? known.length - 1 : after];
    const left = known[after === -1 ? known.length - 1 : Math.max(0, after - 1)];
    if (!left || !right) return 0;
    const share =
      right.lsn > left.lsn && lsn > left.lsn
        ? Number(lsn - left.lsn) / Number(right.lsn - left.lsn)
        : lsn < right.lsn
          ? 0
          : 1;
    const ms = left.ms + (right.ms - left.ms) * Math.min(1, share);
    return Math.round((ms - from) * scale);
  };
}

interface TimelineRow {
  readonly timeline: number;
  readonly from: Lsn | null;
  readonly to: Lsn | null;
}

const mostRows = 12;

/** The newest timelines of the path; older ones, where they are many, aren't drawn. */
function timelineRows({ switches, timeline }: SystemWindows): TimelineRow[] {
  const rows: TimelineRow[] = [];
  let from: Lsn | null = null;
  for (const change of switches) {
    rows.push({ timeline: change.from, from, to: parseLsn(change.lsn) });
    from = parseLsn(change.lsn);
  }
  if (timeline !== null) rows.push({ timeline, from, to: null });
  return rows.slice(-mostRows);
}

function drawRow(system: SystemWindows, row: TimelineRow, column: (lsn: Lsn) => number): string[] {
  const cells = Array.from({ length: plotWidth }, () => ' ');
  const within = (lsn: Lsn) => (row.from === null || lsn >= row.from) && (row.to === null || lsn <= row.to);
  const line = (from: string, to: string, mark: string, over: boolean) => {
    const begin = row.from === null || parseLsn(from) > row.from ? parseLsn(from) : row.from;
    const end = row.to === null || parseLsn(to) < row.to ? parseLsn(to) : row.to;
    if (begin > end || (begin === end && parseLsn(from) !== parseLsn(to))) return;
    for (let at = column(begin); at <= column(end); at += 1) if (over || cells[at] === ' ') cells[at] = mark;
  };
  for (const { from, to, alone } of system.windows) if (!alone) line(from.lsn, to.lsn, '=', true);
  for (const { from, to } of system.unreachable) line(from, to, '-', false);
  for (const { after, before } of system.gaps) line(after, before, '~', true);
  if (row.from !== null) cells[column(row.from)] = '+';
  if (row.to !== null) cells[column(row.to)] = '+';
  const marks = new Map<number, string>();
  const mark = (lsn: string, timeline: number | null, sign: string) => {
    const place = parseLsn(lsn);
    if (timeline === null ? !within(place) : timeline !== row.timeline) return;
    const at = column(place);
    const there = marks.get(at);
    marks.set(at, there === undefined || there === sign ? sign : there === 'x' ? sign : sign === 'x' ? there : '*');
    if (there !== undefined && sign !== 'x' && there !== 'x') marks.set(at, '*');
  };
  for (const { lsn, timeline, type } of system.bases) mark(lsn, timeline, type === 'full' ? 'B' : 'i');
  for (const { lsn } of system.broken) mark(lsn, null, 'x');
  for (const [at, sign] of marks) cells[at] = sign;
  return cells;
}

/** Ticks at both ends and the middle, with dates, and the time of day where the whole is short. */
function axis(from: number, to: number): string[] {
  const short = to - from < 3 * 86_400_000;
  const label = (ms: number) =>
    new Date(ms)
      .toISOString()
      .slice(0, short ? 16 : 10)
      .replace('T', ' ');
  const ticks = to > from ? [0, Math.floor((plotWidth - 1) / 2), plotWidth - 1] : [0];
  const ruler = Array.from({ length: plotWidth }, () => ' ');
  const dates = Array.from({ length: plotWidth }, () => ' ');
  for (const at of ticks) {
    ruler[at] = '|';
    const text = label(from + ((to - from) * at) / (plotWidth - 1));
    const begin = at === 0 ? 0 : at === plotWidth - 1 ? plotWidth - text.length : at - Math.floor(text.length / 2);
    for (let index = 0; index < text.length; index += 1) dates[begin + index] = text.charAt(index);
  }
  const indent = ' '.repeat(labelWidth + 2);
  return [ruler, dates].map((cells) => `${indent}${cells.join('')}`.trimEnd());
}

const signs: Readonly<Record<string, string>> = {
  B: 'B full base',
  i: 'i increment',
  '*': '* several bases',
  x: 'x not usable',
  '=': '= recoverable',
  '-': '- no base leads here',
  '~': '~ gap',
  '+': '+ switch',
};

/** Only what was drawn. */
function legend(cells: readonly string[]): string {
  const drawn = new Set(cells);
  return Object.entries(signs)
    .flatMap(([sign, meaning]) => (drawn.has(sign) ? [meaning] : []))
    .join('  ');
}
