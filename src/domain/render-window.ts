import { formatCount, oneLine } from './format.ts';
import type { RecoveryWindows, SystemWindows } from './recovery-window.ts';
import { drawTimeline } from './draw-timeline.ts';

/** Everything that a person wants to know of the windows, at most 80 columns wide where names allow it. */
export function renderWindow(windows: RecoveryWindows, now: Date): string {
  const { cluster, systems } = windows;
  if (systems.length === 0)
    return [
      `Cluster ${cluster} can't be recovered: there is no base backup and no WAL archive.`,
      "Take a base backup: a policy with method 'base', and wal: in the configuration.",
    ].join('\n');
  return systems
    .map((system, index) => [headline(cluster, system, index), ...body(system, now)].join('\n'))
    .join('\n\n');
}

function headline(cluster: string, system: SystemWindows, index: number): string {
  const timeline = system.timeline === null ? '' : `, timeline ${String(system.timeline)}`;
  const name = `system ${system.systemIdentifier}${timeline}`;
  return index === 0 ? `Cluster ${cluster}, ${name}` : `Its past, ${name}`;
}

function body(system: SystemWindows, now: Date): string[] {
  return [
    '',
    ...drawTimeline(system, now).map((line) => `  ${line}`.trimEnd()),
    '',
    ...(system.windows.length === 0 ? ['  recoverable   nothing'] : system.windows.flatMap(windowLines)),
    ...system.gaps.map(({ firstMissing, lastMissing, segments, after }) =>
      segments === 1
        ? `  gap           after ${after}: ${firstMissing} is missing`
        : `  gap           after ${after}: ${formatCount(segments, 'segment')} missing,\n                ${firstMissing} to\n                ${lastMissing}`,
    ),
    ...system.unreachable.map(
      ({ from, to, segments }) =>
        `  not reached   ${from} to ${to} (${formatCount(segments, 'segment')}): no base backup\n                leads there; take a new one`,
    ),
    ...system.broken.flatMap(({ base, reason }) => folded(`  not usable    ${base}: ${oneLine(reason)}`)),
    ...system.branches.flatMap(({ timeline, leftAt, to, segments, recoverable, bases }) => [
      `  other branch  timeline ${String(timeline)}${leftAt === null ? '' : `, which parts at ${leftAt}`},`,
      `                to ${moment(to.time)} (${to.lsn}): ${formatCount(segments, 'segment')},`,
      `                ${formatCount(bases.length, 'base')} of its own, ${recoverable ? `recoverable with "timeline":${String(timeline)}` : 'not recoverable to its end'}`,
    ]),
  ];
}

function windowLines({ from, to, bases, timelines, alone }: SystemWindows['windows'][number]): string[] {
  if (alone)
    return [
      `  recoverable   ${moment(from.time)} (${from.lsn}) only,`,
      `                ${from.base}, which holds its own WAL`,
    ];
  const along =
    timelines.length > 1 ? `timelines ${timelines.map(String).join(', ')}` : `timeline ${String(to.timeline)}`;
  return [
    `  recoverable   from ${moment(from.time)} (${from.lsn})`,
    `                to   ${moment(to.time)} (${to.lsn})`,
    `                ${formatCount(bases.length, 'base')}, ${along}`,
  ];
}

/** "2026-11-21 02:00:05 UTC" */
export const moment = (time: string | null) =>
  time === null ? 'an unknown time' : `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/** Lines of at most 80 columns, the later ones under the first one's text. */
function folded(text: string): string[] {
  const indent = ' '.repeat(16);
  const lines: string[] = [];
  let line = '';
  for (const word of text.trimStart().split(' ')) {
    const longer = line === '' ? word : `${line} ${word}`;
    if (longer.length > (lines.length === 0 ? 78 : 64) && line !== '') {
      lines.push(lines.length === 0 ? `  ${line}` : indent + line);
      line = word;
    } else line = longer;
  }
  return [...lines, lines.length === 0 ? `  ${line}` : indent + line];
}
