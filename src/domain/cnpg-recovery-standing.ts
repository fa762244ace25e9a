import type { ErrorType } from './errors.ts';
import { oneLine } from './format.ts';

/** A pod as its status tells, and the end of its log. */
export interface SeenPod {
  readonly name: string;
  /** Of the Job that makes the first instance. */
  readonly recovers: boolean;
  readonly phase: string;
  /** A container that waits: ImagePullBackOff, CreateContainerConfigError … */
  readonly waiting: { readonly reason: string; readonly message: string } | null;
  /** Why no node takes it. */
  readonly unschedulable: string | null;
  /** The newest lines last; empty: none could be read. */
  readonly log: readonly string[];
}

/** A Cluster that is being recovered, as one look shows it. */
export interface SeenRecovery {
  readonly what: string;
  readonly phase: string | null;
  readonly reason: string | null;
  readonly healthy: boolean;
  /** Its phase says that only a person can help. */
  readonly dead: boolean;
  readonly pods: readonly SeenPod[];
  readonly claims: readonly { readonly name: string; readonly phase: string }[];
  /** Warnings of the API server about its objects, the newest last. */
  readonly warnings: readonly string[];
}

export type RecoveryStanding =
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly type: ErrorType; readonly what: string; readonly hint: string }
  | {
      readonly kind: 'going';
      readonly doing: string;
      /** What may stay so for ever: it counts as a failure when it has been the same for so long. */
      readonly stuck: { readonly what: string; readonly hint: string; readonly afterMs: number } | null;
    };

const minuteMs = 60_000;

/** CloudNativePG's Job tries again and again; after so many pods it is told instead of waited for. */
const triesAtMost = 3;

/** Judges one look. Pure: how long something has been so is the caller's to know. */
export function recoveryStanding(seen: SeenRecovery): RecoveryStanding {
  const recovering = seen.pods.filter(({ recovers }) => recovers);
  const fallen = recovering.filter(({ phase }) => phase === 'Failed');
  const last = fallen.at(-1);
  const cause = fallen.map(({ log }) => causeIn(log)).find((found) => found !== undefined);
  if (cause !== undefined && last !== undefined)
    return failed(cause.type, `${seen.what}: ${cause.what}`, last.log, cause.hint);
  if (seen.dead || fallen.length >= triesAtMost)
    return failed(
      'RestoreFailed',
      `${seen.what} can't be recovered: ${seen.dead ? `${seen.phase ?? ''}${seen.reason === null ? '' : ` (${seen.reason})`}` : `${String(fallen.length)} pods of its Job failed`}`,
      last?.log ?? [],
      'the last lines of its log say why',
    );
  if (seen.healthy) return { kind: 'done' };
  const stuck = stuckOf(seen);
  return { kind: 'going', doing: stuck?.doing ?? doingOf(seen, recovering), stuck: stuck?.stuck ?? null };
}

const failed = (type: ErrorType, what: string, log: readonly string[], hint: string): RecoveryStanding => ({
  kind: 'failed',
  type,
  what: log.length === 0 ? what : `${what}; the end of its log: ${log.slice(-5).map(oneLine).join(' / ')}`,
  hint,
});

interface Cause {
  readonly type: ErrorType;
  readonly what: string;
  readonly hint: string;
}

/** What no further try of the Job cures, by the words of PostgreSQL, Barman and CloudNativePG. */
const causes: readonly (readonly [pattern: RegExp, cause: Cause])[] = [
  [
    /recovery ended before configured recovery target was reached/i,
    {
      type: 'RestoreFailed',
      what: 'the recovery target was not reached: everything that is archived was replayed, and the target is not in it',
      hint: 'recover to latest, or to a target before the last transaction that is archived',
    },
  ],
  [
    /requested recovery stop point is before consistent recovery point/i,
    {
      type: 'RestoreFailed',
      what: 'the target lies before the moment at which the base backup is consistent',
      hint: 'name an older base backup',
    },
  ],
  [
    /no space left on device/i,
    {
      type: 'StoreFull',
      what: 'its volume is full',
      hint: 'give a larger one: into.storage.size, or walStorage in the Cluster',
    },
  ],
  [
    /expected empty archive/i,
    {
      type: 'NameTaken',
      what: 'the place that it would archive to is not empty',
      hint: 'give another name: into.name',
    },
  ],
  [
    /presence of first needed WAL in the archive/i,
    {
      type: 'WalMissing',
      what: 'the WAL that its base backup begins with is not in the archive',
      hint: 'begin with another base backup',
    },
  ],
  [
    /no backup found with ID|no target backup found/i,
    {
      type: 'NoSuchBackup',
      what: 'the base backup is not in the object store any more',
      hint: 'start the recovery again: its plan shows what is there',
    },
  ],
  [
    /requested timeline \d+ (is not a child|does not contain)|recovery target timeline \d+ does not exist/i,
    {
      type: 'RestoreFailed',
      what: 'the base backup does not lead to the timeline',
      hint: 'name another timeline, or another base backup',
    },
  ],
];

const causeIn = (log: readonly string[]): Cause | undefined =>
  causes.find(([pattern]) => log.some((line) => pattern.test(line)))?.[1];

interface Stuck {
  readonly doing: string;
  readonly stuck: { readonly what: string; readonly hint: string; readonly afterMs: number };
}

function stuckOf(seen: SeenRecovery): Stuck | undefined {
  const because = seen.warnings.length === 0 ? '' : `: ${oneLine(seen.warnings.at(-1) ?? '')}`;
  for (const { name, waiting, unschedulable } of seen.pods) {
    if (waiting !== null) {
      const image = /image/i.test(waiting.reason);
      return stuckFor(
        `pod ${name} waits: ${waiting.reason}${waiting.message === '' ? '' : `, ${oneLine(waiting.message)}`}`,
        image
          ? 'see that the image is there and that its nodes may pull it'
          : 'see what the pod lacks: kubectl describe pod',
        image ? 2 * minuteMs : 3 * minuteMs,
      );
    }
    if (unschedulable !== null)
      return stuckFor(
        `no node takes pod ${name}: ${oneLine(unschedulable)}`,
        'make room, or correct resources and affinity of the Cluster',
        10 * minuteMs,
      );
  }
  if (seen.pods.length > 0) return undefined;
  const pending = seen.claims.find(({ phase }) => phase !== 'Bound');
  return stuckFor(
    pending === undefined
      ? `CloudNativePG has made no pod yet (${seen.phase ?? 'no phase yet'})${because}`
      : `volume claim ${pending.name} is ${pending.phase}${because}`,
    pending === undefined
      ? 'see whether its operator runs and what it logs; a ResourceQuota may refuse pods or volume claims'
      : 'see whether its storage class is there, and what provisions it',
    10 * minuteMs,
  );
}

const stuckFor = (what: string, hint: string, afterMs: number): Stuck => ({
  doing: what,
  stuck: { what, hint, afterMs },
});

function doingOf({ phase }: SeenRecovery, recovering: readonly SeenPod[]): string {
  const pod = recovering.at(-1);
  if (pod === undefined || pod.phase === 'Succeeded') return phase ?? 'waiting for the operator';
  const said = pod.log.findLast((line) => telling.test(line));
  return `${pod.name} ${pod.phase.toLowerCase()}${said === undefined ? '' : `: ${oneLine(said)}`}`;
}

const telling = /restored log file|redo|recover|restore|consistent|Target backup/i;
