import type { BaseBackup, BaseManifest } from './base-manifest.ts';
import {
  ancestry,
  coveredRuns,
  segmentAlong,
  spanOf,
  timelineAt,
  timelinesOf,
  type TimelinePath,
} from './timeline-path.ts';
import { missingOf, runWith, type SegmentRun, type WalArchive } from './wal-archive.ts';
import { historyName, parseLsn } from './wal.ts';

/** What a base backup can be used for, given what is archived. Windows, plans and retention all ask here. */

/** A timeline that a recovery may go along, with what is archived on the way to it. */
export interface Track {
  readonly timeline: number;
  readonly archive: WalArchive;
  readonly path: TimelinePath;
  readonly runs: readonly SegmentRun[];
}

/** undefined where the timeline's history is not archived. */
export function trackOf(archive: WalArchive, timeline: number): Track | undefined {
  const path = ancestry(archive, timeline);
  return path && { timeline, archive, path, runs: coveredRuns(archive, path) };
}

export const emptyArchive = (systemIdentifier: string, segmentBytes: number): WalArchive => ({
  systemIdentifier,
  segmentBytes,
  segments: new Map(),
  histories: new Map(),
});

/**
 * For a timeline whose history is not archived, and whose backups hold their own WAL (and with it the history): they
 * restore to their own ends.
 */
export const trackAlone = (archive: WalArchive, timeline: number): Track => ({
  timeline,
  archive,
  path: [{ timeline, from: 0n, to: null }],
  runs: [],
});

/** Every timeline of an archive and of the bases on it, in rising order. */
export function timelinesWith(archive: WalArchive, bases: readonly BaseBackup[]): number[] {
  const ofBases = bases.flatMap(({ manifest }) => [manifest.startTimeline, manifest.stopTimeline]);
  return [...new Set([...timelinesOf(archive), ...ofBases])].sort((a, b) => a - b);
}

export const stopOf = (manifest: BaseManifest) => parseLsn(manifest.stopLsn);
export const startOf = (manifest: BaseManifest) => parseLsn(manifest.startLsn);

export type Chain =
  /** Oldest first: the full backup, then each increment up to the one asked for. */
  { readonly whole: true; readonly chain: readonly BaseBackup[] } | { readonly whole: false; readonly reason: string };

/** The backups that one is restored from. `bases` may hold other systems' too. */
export function chainOf(bases: readonly BaseBackup[], base: BaseBackup): Chain {
  const chain: BaseBackup[] = [base];
  let child = base;
  while (child.manifest.parent !== null) {
    const { parent, id } = child.manifest;
    const { systemIdentifier } = child.manifest.server;
    const found = bases.find(
      ({ manifest }) => manifest.id === parent && manifest.server.systemIdentifier === systemIdentifier,
    );
    if (found === undefined)
      return { whole: false, reason: `its chain is broken: '${parent}', which '${id}' builds on, is gone` };
    if (chain.includes(found)) return { whole: false, reason: `its chain is broken: '${parent}' builds on itself` };
    if (found.verification === 'failed')
      return { whole: false, reason: `its chain is broken: '${parent}', which '${id}' builds on, was found damaged` };
    chain.unshift(found);
    child = found;
  }
  return { whole: true, chain };
}

export type BaseState =
  /** Recovery can begin with it and go on to the end of `run`. */
  | { readonly state: 'usable'; readonly run: SegmentRun }
  /** It holds the WAL that makes it consistent, and nothing follows: it restores to its own end only. */
  | { readonly state: 'alone' }
  | { readonly state: 'broken'; readonly reason: string }
  /** It is of a branch that this track doesn't go along. */
  | { readonly state: 'elsewhere' };

/** What is wrong with a backup whatever the track; undefined: nothing. */
function faultOf(bases: readonly BaseBackup[], base: BaseBackup, archive: WalArchive): string | undefined {
  if (base.verification === 'failed') return 'a verification found it damaged';
  const chain = chainOf(bases, base);
  if (!chain.whole) return chain.reason;
  const { segmentBytes } = base.manifest.server;
  if (archive.segments.size > 0 && segmentBytes !== archive.segmentBytes)
    return `its segments are of ${String(segmentBytes)} bytes, the archive's of ${String(archive.segmentBytes)}`;
  return stopOf(base.manifest) < startOf(base.manifest) ? 'its manifest says that it ends before it begins' : undefined;
}

export function stateOn(track: Track, bases: readonly BaseBackup[], base: BaseBackup): BaseState {
  const { manifest } = base;
  const [start, stop] = [startOf(manifest), stopOf(manifest)];
  const fault = faultOf(bases, base, track.archive);
  if (fault !== undefined) return { state: 'broken', reason: fault };
  // a place between two records belongs to the record before it: what is needed ends one byte earlier
  const last = stop > start ? stop - 1n : start;
  if (
    timelineAt(track.path, start) !== manifest.startTimeline ||
    timelineAt(track.path, last) !== manifest.stopTimeline
  )
    return { state: 'elsewhere' };
  const needed = spanOf(start, last + 1n, track.archive.segmentBytes);
  const wanted = manifest.includesWal ? { first: needed.last, last: needed.last } : needed;
  const [hole] = missingOf(wanted, track.runs);
  const run = runWith(track.runs, needed.last);
  if (hole === undefined && run !== undefined) return { state: 'usable', run };
  if (manifest.includesWal) return { state: 'alone' };
  const name = segmentAlong(track.path, hole?.first ?? needed.last, track.archive.segmentBytes);
  return {
    state: 'broken',
    reason: `WAL that makes it consistent is not archived: ${name} is missing (it needs ${manifest.startLsn} to ${manifest.stopLsn})`,
  };
}

/** As stateOn, along its own timeline: 'broken' also where nobody knows how its timeline came to be. */
export function stateOfBase(archive: WalArchive, bases: readonly BaseBackup[], base: BaseBackup): BaseState {
  const fault = faultOf(bases, base, archive);
  if (fault !== undefined) return { state: 'broken', reason: fault };
  const { stopTimeline, includesWal } = base.manifest;
  const track = trackOf(archive, stopTimeline);
  if (track === undefined)
    return includesWal
      ? { state: 'alone' }
      : {
          state: 'broken',
          reason: `${historyName(stopTimeline)} is not archived: PostgreSQL can't follow its timeline`,
        };
  const state = stateOn(track, bases, base);
  return state.state === 'elsewhere'
    ? { state: 'broken', reason: 'its places are not on the timelines that the archive’s histories tell of' }
    : state;
}
