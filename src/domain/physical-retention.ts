import type { BaseBackup } from './base-manifest.ts';
import { stateOn, timelinesWith, type Track } from './base-state.ts';
import { gfsReasons, type Gfs } from './gfs.ts';
import { basesOf, newestMoment, newestTrack, recoveryWindows, trackTo } from './recovery-window.ts';
import { segmentAlong } from './timeline-path.ts';
import { judgeWal, type KeptBase, type WalVerdict } from './wal-retention.ts';
import type { Archived } from './wal-archive.ts';

/** What a policy keeps of base backups; what is given adds up. */
export interface PhysicalKeep {
  readonly last?: number | undefined;
  readonly days?: number | undefined;
  /** "7d", "4w", "1m" (a month of 31 days): every moment from then on stays recoverable. */
  readonly window?: string | undefined;
  readonly gfs?: Gfs | undefined;
  readonly holds?: readonly Hold[] | undefined;
}

export interface Hold {
  readonly base: string;
  readonly reason: string;
  /** An ISO time; not said: until it is taken away. */
  readonly until?: string | undefined;
}

export interface PhysicalFacts {
  readonly now: Date;
  /** Every base backup of the cluster, of every policy: they share its WAL. */
  readonly bases: readonly BaseBackup[];
  readonly archives: readonly Archived[];
  /** By policy; null: it keeps everything. A policy that is not there keeps everything too. */
  readonly policies: ReadonlyMap<string, PhysicalKeep | null>;
  /** Bases that a recovery or drill is reading, by id, with the run that does. */
  readonly inUse: ReadonlyMap<string, string>;
  /** System identifiers under which a manifest can't be read: whose WAL it needs nobody knows. */
  readonly unreadable: ReadonlySet<string>;
  /**
   * Base backups that are being taken right now: they are no backups yet, and need the WAL from their start on.
   * startLsn null: it isn't known, and no WAL of the system goes.
   */
  readonly underway: readonly Underway[];
}

export interface Underway {
  readonly systemIdentifier: string;
  readonly startLsn: string | null;
}

export interface BaseVerdict {
  readonly base: BaseBackup;
  /** Why it stays; empty: it may go. */
  readonly keep: readonly string[];
}

export interface PhysicalVerdicts {
  /** Newest first. */
  readonly bases: readonly BaseVerdict[];
  readonly wal: readonly WalVerdict[];
}

const dayMs = 86_400_000;
const windowUnits: Readonly<Record<string, number>> = { d: 1, w: 7, m: 31 };

/** A recovery window in milliseconds; RangeError for what is none. A month counts as 31 days, so never less than one. */
export function windowMs(window: string): number {
  const match = /^([1-9][0-9]*)([dwm])$/.exec(window);
  const days = windowUnits[match?.[2] ?? ''];
  if (match === null || days === undefined) throw new RangeError(`not a recovery window: ${window}`);
  return Number(match[1]) * days * dayMs;
}

/** A reason, and whether recovery to later moments is to begin with the base: then all WAL after it stays. */
interface Reason {
  readonly text: string;
  readonly onwards: boolean;
}

/** A system of the cluster, with the ways through its timelines. */
interface Ground {
  readonly archived: Archived;
  /** Oldest first, by place. */
  readonly bases: readonly BaseBackup[];
  readonly tracks: readonly Track[];
  readonly newest: Track | undefined;
  /** It is the one that the cluster runs as, as far as times tell. */
  readonly current: boolean;
  /** Another one is known to have been there after it had ended. */
  readonly over: boolean;
}

/**
 * Which base backups and which WAL of a cluster stay, and why. Decides, deletes nothing. Whoever deletes takes bases
 * first, in removalOrder, and then WAL.
 *
 * Whatever the policy says, these stay: each policy's newest good base; the newest that leads to the newest timeline;
 * the last one that passed a drill; what a recovery reads; parents of increments that stay. Good means that it can be
 * restored: it wasn't found damaged, its parents and the WAL that makes it consistent are there. Others don't use up
 * the places of good ones and age out in a row of their own.
 *
 * A window keeps, along every timeline that reaches into it, the newest good base from before it and everything since.
 * WAL after a base that is kept by last, days, window or as the newest stays; of one that is kept by gfs, a hold, a drill
 * or as a parent only what makes it consistent: it restores to its own end. Times are the server's.
 */
export function judgePhysical(facts: PhysicalFacts): PhysicalVerdicts {
  const grounds = groundsOf(facts);
  const reasons = new Map<BaseBackup, Reason[]>(facts.bases.map((base) => [base, []]));
  const give = (base: BaseBackup | undefined, text: string, onwards: boolean) => {
    if (base !== undefined) reasons.get(base)?.push({ text, onwards });
  };
  const good = new Set(
    grounds.flatMap(({ tracks, bases }) => bases.filter((base) => tracks.some((track) => leads(track, bases, base)))),
  );
  const policies = new Set(facts.bases.map(({ manifest }) => manifest.policy));
  for (const policy of policies) {
    const own = newestFirst(facts.bases.filter(({ manifest }) => manifest.policy === policy));
    const keep = facts.policies.get(policy) ?? null;
    if (keep === null) for (const base of own) give(base, 'its policy keeps everything', true);
    else judgePolicy({ facts, grounds, good, own, keep, give });
    give(
      own.find((base) => good.has(base)),
      `the newest good base of policy ${policy}`,
      true,
    );
    give(
      own.find(({ drill, verification }) => drill === 'passed' && verification !== 'failed'),
      'the last one that passed a drill',
      false,
    );
  }
  for (const { newest, bases, current } of grounds)
    if (newest !== undefined && current)
      give(
        bases.findLast((base) => leads(newest, bases, base)),
        `the newest that leads to timeline ${String(newest.timeline)}`,
        true,
      );
  for (const base of facts.bases) {
    const reader = facts.inUse.get(base.manifest.id);
    if (reader !== undefined) give(base, `being read by ${reader}`, true);
  }
  giveParents(facts.bases, reasons, give);
  const kept = [...reasons].flatMap(([base, given]): KeptBase[] =>
    given.length === 0 ? [] : [{ base, onwards: given.some(({ onwards }) => onwards) }],
  );
  return {
    bases: newestFirst(facts.bases).map((base) => ({ base, keep: (reasons.get(base) ?? []).map(({ text }) => text) })),
    wal: grounds.map((ground) => judgeWal(ground, kept, wholeReason(facts, ground), facts.underway)),
  };
}

/** Why no WAL of a system goes at all; undefined: it is judged. */
function wholeReason({ unreadable, policies }: PhysicalFacts, { archived, bases }: Ground): string | undefined {
  if (unreadable.has(archived.archive.systemIdentifier))
    return 'a manifest of this system can’t be read: nobody knows what it needs';
  const whole = bases.find(({ manifest }) => (policies.get(manifest.policy) ?? null) === null);
  return whole === undefined ? undefined : `policy ${whole.manifest.policy} keeps everything`;
}

const leads = (track: Track, bases: readonly BaseBackup[], base: BaseBackup) => {
  const { state } = stateOn(track, bases, base);
  return state === 'usable' || state === 'alone';
};

function groundsOf({ bases, archives }: PhysicalFacts): Ground[] {
  const { systems } = recoveryWindows({ cluster: '', bases, archives });
  return systems.map(({ systemIdentifier, segmentBytes }, index) => {
    const archived = archives.find(({ archive }) => archive.systemIdentifier === systemIdentifier) ?? {
      archive: { systemIdentifier, segmentBytes, segments: new Map(), histories: new Map() },
      times: new Map(),
    };
    const own = basesOf(bases, systemIdentifier);
    const tracks = timelinesWith(archived.archive, own).flatMap(
      (timeline) => trackTo(archived.archive, own, timeline) ?? [],
    );
    return {
      archived,
      bases: own,
      tracks,
      newest: newestTrack(archived.archive, own),
      current: index === 0,
      over: isOver(archived, bases, own),
    };
  });
}

function isOver(archived: Archived, bases: readonly BaseBackup[], own: readonly BaseBackup[]): boolean {
  const last = newestMoment(own, archived);
  return last > 0 && bases.some((base) => !own.includes(base) && Date.parse(base.manifest.serverStartedAt) > last);
}

const finishedMs = ({ manifest }: BaseBackup) => Date.parse(manifest.serverFinishedAt);

const newestFirst = (bases: readonly BaseBackup[]): BaseBackup[] =>
  [...bases].sort((a, b) => finishedMs(b) - finishedMs(a) || (a.manifest.id < b.manifest.id ? 1 : -1));

interface Judging {
  readonly facts: PhysicalFacts;
  readonly grounds: readonly Ground[];
  readonly good: ReadonlySet<BaseBackup>;
  /** Of one policy, newest first. */
  readonly own: readonly BaseBackup[];
  readonly keep: PhysicalKeep;
  readonly give: (base: BaseBackup | undefined, text: string, onwards: boolean) => void;
}

function judgePolicy(judging: Judging): void {
  const { facts, good, own, keep, give } = judging;
  const nowMs = facts.now.getTime();
  const goodOnes = own.filter((base) => good.has(base));
  for (const row of [goodOnes, own.filter((base) => !good.has(base))]) {
    const what = row === goodOnes ? 'good' : 'unusable';
    row.forEach((base, index) => {
      if (keep.last !== undefined && index < keep.last)
        give(base, `among the last ${String(keep.last)} ${what} bases`, row === goodOnes);
      if (keep.days !== undefined && nowMs - finishedMs(base) < keep.days * dayMs)
        give(base, `younger than ${String(keep.days)} days`, row === goodOnes);
    });
  }
  if (keep.window !== undefined) judgeWindow(judging, keep.window);
  if (keep.gfs !== undefined) {
    const given = gfsReasons(
      goodOnes.map((base) => new Date(finishedMs(base))),
      keep.gfs,
    );
    for (const [index, texts] of given.entries()) for (const text of texts) give(goodOnes[index], text, false);
  }
  for (const { base: id, reason, until } of keep.holds ?? []) {
    if (until !== undefined && Date.parse(until) <= nowMs) continue;
    const held = own.filter(({ manifest }) => manifest.id === id);
    for (const base of held) give(base, `held${until === undefined ? '' : ` until ${until}`}: ${reason}`, false);
  }
}

function judgeWindow({ facts, grounds, good, own, give }: Judging, window: string): void {
  const begin = facts.now.getTime() - windowMs(window);
  for (const base of own)
    if (finishedMs(base) > begin) give(base, `inside the recovery window of ${window}`, good.has(base));
  const leading = new Set<BaseBackup>();
  for (const [index, ground] of grounds.entries()) {
    const superseded = grounds
      .slice(0, index)
      .some(({ bases }) => bases.some((base) => good.has(base) && finishedMs(base) <= begin));
    for (const track of ground.tracks) {
      const usable = ground.bases.filter((base) => own.includes(base) && leads(track, ground.bases, base));
      if (!reachesInto(track, ground, usable, begin, superseded)) continue;
      // by place: where a clock was set back the earlier one is the safer
      const inside = usable.findIndex((base) => finishedMs(base) > begin);
      const before = inside === -1 ? usable.at(-1) : usable[inside - 1];
      if (before !== undefined) leading.add(before);
    }
  }
  for (const base of leading) give(base, `the recovery window of ${window} begins with it`, true);
}

/** Whether a timeline has moments after a window's beginning; where nobody knows it has. */
function reachesInto(
  track: Track,
  { archived }: Ground,
  usable: readonly BaseBackup[],
  begin: number,
  superseded: boolean,
): boolean {
  const last = track.runs.at(-1)?.last;
  if (last === undefined) return usable.some((base) => finishedMs(base) > begin);
  const time = archived.times.get(segmentAlong(track.path, last, track.archive.segmentBytes)) ?? null;
  const ends = [...usable.map(finishedMs), ...(time === null ? [] : [Date.parse(time)])];
  return time === null ? !superseded : Math.max(...ends) > begin;
}

/** An increment is nothing without the backups that it builds on. */
function giveParents(
  bases: readonly BaseBackup[],
  reasons: ReadonlyMap<BaseBackup, readonly Reason[]>,
  give: Judging['give'],
): void {
  const byId = new Map(bases.map((base) => [`${base.manifest.server.systemIdentifier}/${base.manifest.id}`, base]));
  const done = new Set<BaseBackup>();
  const visit = (base: BaseBackup) => {
    const { parent, id, server } = base.manifest;
    if (parent === null || done.has(base)) return;
    done.add(base);
    const found = byId.get(`${server.systemIdentifier}/${parent}`);
    if (found === undefined) return;
    give(found, `'${id}' builds on it`, false);
    visit(found);
  };
  for (const [base, given] of reasons) if (given.length > 0) visit(base);
}

/** The bases that go, oldest first, but never one before what builds on it: stopped anywhere, no chain is broken. */
export function removalOrder(going: readonly BaseBackup[]): BaseBackup[] {
  const ordered = new Set<BaseBackup>();
  const entered = new Set<BaseBackup>();
  const oldestFirst = newestFirst(going).reverse();
  const take = (base: BaseBackup) => {
    if (entered.has(base)) return;
    entered.add(base);
    for (const child of oldestFirst)
      if (
        child.manifest.parent === base.manifest.id &&
        child.manifest.server.systemIdentifier === base.manifest.server.systemIdentifier
      )
        take(child);
    ordered.add(base);
  };
  for (const base of oldestFirst) take(base);
  return [...ordered];
}
