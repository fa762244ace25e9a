import { branchesOf, type Branch } from './recovery-branches.ts';
import type { BaseBackup } from './base-manifest.ts';
import {
  emptyArchive,
  stateOn,
  stateOfBase,
  stopOf,
  timelinesWith,
  trackAlone,
  trackOf,
  type Track,
} from './base-state.ts';
import { runsAlong, segmentAlong, timelineOfSegment } from './timeline-path.ts';
import { runLength, type Archived, type SegmentRun, type WalArchive } from './wal-archive.ts';
import { formatLsn, segmentNumber, segmentStart, type Lsn } from './wal.ts';

/** From when to when a cluster can be recovered, and what breaks that. All of it is JSON. */

export interface WindowFacts {
  readonly cluster: string;
  readonly bases: readonly BaseBackup[];
  /** One per system identifier. */
  readonly archives: readonly Archived[];
}

export interface RecoveryWindows {
  readonly cluster: string;
  /** One per system identifier, the one with the newest backup or WAL first. */
  readonly systems: readonly SystemWindows[];
}

export interface SystemWindows {
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  /** The newest one, along which the windows lie; null: nothing is known but broken backups. */
  readonly timeline: number | null;
  /** Oldest first. */
  readonly windows: readonly RecoveryWindow[];
  /** Between stretches of WAL. */
  readonly gaps: readonly WindowGap[];
  /** WAL that no base backup reaches. */
  readonly unreachable: readonly { readonly from: string; readonly to: string; readonly segments: number }[];
  readonly broken: readonly {
    readonly base: string;
    readonly time: string;
    readonly lsn: string;
    readonly reason: string;
  }[];
  /** Timelines, or ends of them, that the newest one left. */
  readonly branches: readonly Branch[];
  /** How the newest timeline came to be, oldest first. */
  readonly switches: readonly { readonly from: number; readonly to: number; readonly lsn: string }[];
  /** Usable bases of the windows, oldest first. */
  readonly bases: readonly WindowBase[];
}

export interface WindowBase {
  readonly id: string;
  readonly type: 'full' | 'incremental';
  /** When it had ended, by the server's clock: recovery reaches from here on. */
  readonly time: string;
  readonly lsn: string;
  readonly timeline: number;
}

export interface RecoveryWindow {
  readonly from: { readonly time: string; readonly lsn: string; readonly base: string };
  /** time: the server's at the end of the last archived segment, if known. */
  readonly to: { readonly time: string | null; readonly lsn: string; readonly timeline: number };
  /** Ids, oldest first. */
  readonly bases: readonly string[];
  readonly timelines: readonly number[];
  /** Only to the end of one base backup, which holds its own WAL. */
  readonly alone: boolean;
}

export interface WindowGap {
  readonly after: string;
  readonly before: string;
  readonly firstMissing: string;
  readonly lastMissing: string;
  readonly segments: number;
}

export function recoveryWindows({ cluster, bases, archives }: WindowFacts): RecoveryWindows {
  const known = new Map(archives.map((archived) => [archived.archive.systemIdentifier, archived]));
  for (const { manifest } of bases) {
    const { systemIdentifier, segmentBytes } = manifest.server;
    if (!known.has(systemIdentifier))
      known.set(systemIdentifier, { archive: emptyArchive(systemIdentifier, segmentBytes), times: new Map() });
  }
  const systems = [...known.values()].map((archived) => {
    const own = basesOf(bases, archived.archive.systemIdentifier);
    return { newest: newestMoment(own, archived), windows: systemWindows(own, archived) };
  });
  const newestFirst = systems.sort((a, b) => b.newest - a.newest || byText(a.windows, b.windows));
  return { cluster, systems: newestFirst.map(({ windows }) => windows) };
}

const byText = (a: SystemWindows, b: SystemWindows) => (a.systemIdentifier < b.systemIdentifier ? 1 : -1);

/** A system's base backups, oldest first by place, then time. */
export function basesOf(bases: readonly BaseBackup[], systemIdentifier: string): BaseBackup[] {
  const own = bases.filter(({ manifest }) => manifest.server.systemIdentifier === systemIdentifier);
  return own.sort(({ manifest: a }, { manifest: b }) => {
    const [left, right] = [stopOf(a), stopOf(b)];
    if (left !== right) return left < right ? -1 : 1;
    return a.serverFinishedAt === b.serverFinishedAt
      ? a.id < b.id
        ? -1
        : 1
      : a.serverFinishedAt < b.serverFinishedAt
        ? -1
        : 1;
  });
}

/** The newest time that is known of a system, in milliseconds; 0: none is. */
export function newestMoment(bases: readonly BaseBackup[], { times }: Archived): number {
  const moments = bases.map(({ manifest }) => Date.parse(manifest.serverFinishedAt));
  for (const time of times.values()) if (time !== null) moments.push(Date.parse(time));
  return moments.reduce((newest, moment) => Math.max(newest, moment), 0);
}

/**
 * What a recovery goes along unless it is told otherwise: the newest timeline whose history is known, or whose backups
 * need none.
 */
export function newestTrack(archive: WalArchive, bases: readonly BaseBackup[]): Track | undefined {
  for (const timeline of timelinesWith(archive, bases).reverse()) {
    const track = trackTo(archive, bases, timeline);
    if (track !== undefined) return track;
  }
  return undefined;
}

/** The way to one timeline; undefined where its history is missing and no backup on it holds its own WAL. */
export function trackTo(archive: WalArchive, bases: readonly BaseBackup[], timeline: number): Track | undefined {
  const alone = bases.some(
    (base) => base.manifest.stopTimeline === timeline && stateOfBase(archive, bases, base).state === 'alone',
  );
  return trackOf(archive, timeline) ?? (alone ? trackAlone(archive, timeline) : undefined);
}

function systemWindows(bases: readonly BaseBackup[], archived: Archived): SystemWindows {
  const { archive } = archived;
  const track = newestTrack(archive, bases);
  const found = track === undefined ? { windows: [], usable: [] } : windowsAlong(track, bases, archived);
  const states = bases.map((base) => ({ base, state: stateOfBase(archive, bases, base) }));
  const listed = new Set(found.usable);
  const reached = new Set(found.windows.filter(({ alone }) => !alone).map(({ to }) => to.lsn));
  const runs = track?.runs ?? [];
  const place = (number: bigint) => formatLsn(segmentStart(number, archive.segmentBytes));
  return {
    systemIdentifier: archive.systemIdentifier,
    segmentBytes: archive.segmentBytes,
    timeline: track?.timeline ?? null,
    windows: found.windows,
    gaps: track === undefined ? [] : gapsBetween(track),
    unreachable: runs
      .filter(({ last }) => !reached.has(place(last + 1n)))
      .map((run) => ({ from: place(run.first), to: place(run.last + 1n), segments: runLength(run) })),
    broken: states.flatMap(({ base: { manifest }, state }) =>
      state.state === 'broken' && !listed.has(manifest.id)
        ? [{ base: manifest.id, time: manifest.serverFinishedAt, lsn: manifest.stopLsn, reason: state.reason }]
        : [],
    ),
    branches: branchesOf(bases, archived, track),
    switches: (track?.path ?? []).flatMap(({ timeline, from }, index, path) => {
      const before = path[index - 1];
      return before === undefined ? [] : [{ from: before.timeline, to: timeline, lsn: formatLsn(from) }];
    }),
    bases: bases.flatMap(({ manifest }) =>
      listed.has(manifest.id)
        ? [
            {
              id: manifest.id,
              type: manifest.type,
              time: manifest.serverFinishedAt,
              lsn: manifest.stopLsn,
              timeline: manifest.stopTimeline,
            },
          ]
        : [],
    ),
  };
}

/** The windows along one timeline's path, oldest first, and the ids of the bases that are in them. */
export function windowsAlong(
  track: Track,
  bases: readonly BaseBackup[],
  { times }: Archived,
): { readonly windows: readonly RecoveryWindow[]; readonly usable: readonly string[] } {
  const members = new Map<SegmentRun, BaseBackup[]>();
  const alone: BaseBackup[] = [];
  for (const base of bases) {
    const state = stateOn(track, bases, base);
    if (state.state === 'usable') members.set(state.run, [...(members.get(state.run) ?? []), base]);
    if (state.state === 'alone') alone.push(base);
  }
  // without the history of its timeline a backup that holds its own WAL still restores to its end
  for (const base of bases)
    if (!alone.includes(base) && trackOf(track.archive, base.manifest.stopTimeline) === undefined)
      if (stateOfBase(track.archive, bases, base).state === 'alone') alone.push(base);
  const windows = [
    ...[...members].map(([run, found]) => windowOf(track, run, found, times)),
    ...alone.map(aloneWindow),
  ].sort((a, b) => (a.order === b.order ? 0 : a.order < b.order ? -1 : 1));
  return {
    windows: windows.map(({ window }) => window),
    usable: [...[...members.values()].flat(), ...alone].map(({ manifest }) => manifest.id),
  };
}

interface Ordered {
  readonly order: Lsn;
  readonly window: RecoveryWindow;
}

function windowOf(
  { path, archive }: Track,
  run: SegmentRun,
  bases: readonly BaseBackup[],
  times: Archived['times'],
): Ordered {
  const { segmentBytes } = archive;
  const first = bases[0]?.manifest;
  const from = first === undefined ? segmentStart(run.first, segmentBytes) : stopOf(first);
  const pieces = runsAlong(path, { first: segmentNumber(from, segmentBytes), last: run.last }, segmentBytes);
  return {
    order: from,
    window: {
      from: { time: first?.serverFinishedAt ?? '', lsn: formatLsn(from), base: first?.id ?? '' },
      to: {
        time: times.get(segmentAlong(path, run.last, segmentBytes)) ?? null,
        lsn: formatLsn(segmentStart(run.last + 1n, segmentBytes)),
        timeline: timelineOfSegment(path, run.last, segmentBytes),
      },
      bases: bases.map(({ manifest }) => manifest.id),
      timelines: pieces.map(({ timeline }) => timeline),
      alone: false,
    },
  };
}

function aloneWindow({ manifest }: BaseBackup): Ordered {
  const { id, serverFinishedAt: time, stopLsn: lsn, stopTimeline: timeline } = manifest;
  return {
    order: stopOf(manifest),
    window: {
      from: { time, lsn, base: id },
      to: { time, lsn, timeline },
      bases: [id],
      timelines: [timeline],
      alone: true,
    },
  };
}

function gapsBetween({ runs, path, archive: { segmentBytes } }: Track): WindowGap[] {
  return runs.flatMap((run, index) => {
    const next = runs[index + 1];
    if (next === undefined) return [];
    const hole = { first: run.last + 1n, last: next.first - 1n };
    return [
      {
        after: formatLsn(segmentStart(hole.first, segmentBytes)),
        before: formatLsn(segmentStart(next.first, segmentBytes)),
        firstMissing: segmentAlong(path, hole.first, segmentBytes),
        lastMissing: segmentAlong(path, hole.last, segmentBytes),
        segments: runLength(hole),
      },
    ];
  });
}
