import type { BytesMoved } from '../client/runs.ts';
import { formatBytes, formatSeconds } from '../domain/format.ts';

/** What an activity last said of itself. Heartbeats are JSON of some worker: members that don't fit are left out. */
export interface Moving {
  readonly activity: string;
  readonly attempt: number;
  readonly doing: string | undefined;
  readonly bytes: number | undefined;
  readonly totalBytes: number | undefined;
  readonly done: number | undefined;
  readonly total: number | undefined;
}

export function readHeartbeat({ activity, attempt, heartbeat }: BytesMoved): Moving {
  const members = membersOf(heartbeat);
  return {
    activity,
    attempt,
    doing: textOf(members['doing']),
    bytes: numberOf(members['bytes']),
    totalBytes: numberOf(members['totalBytes']),
    done: numberOf(members['done']),
    total: numberOf(members['total']),
  };
}

/** How far a WAL archive is, by its last heartbeat. */
export interface Archiving {
  /** Why the last attempt ended, where another goes on: a server or a store that doesn't answer. */
  readonly failure: string | undefined;
  readonly doing: string | undefined;
  /** Everything before it is in the repository. */
  readonly archivedLsn: string | undefined;
  readonly lagBytes: number | undefined;
  /** Age of the oldest WAL that is not archived. */
  readonly lagSeconds: number | undefined;
  /** How much more the server keeps for the slot before it gives up; undefined: without limit, or not known. */
  readonly retentionLeftBytes: number | undefined;
  readonly warnings: readonly string[];
}

export function readArchiving(beats: readonly BytesMoved[]): Archiving | undefined {
  const beat = beats.find(({ heartbeat }) => 'archivedLsn' in membersOf(heartbeat)) ?? beats[0];
  if (beat === undefined) return undefined;
  const members = membersOf(beat.heartbeat);
  return {
    failure: beat.attempt > 1 ? beat.failure : undefined,
    doing: textOf(members['doing']),
    archivedLsn: textOf(members['archivedLsn']),
    lagBytes: numberOf(members['lagBytes']),
    lagSeconds: numberOf(members['lagSeconds']),
    retentionLeftBytes: numberOf(members['retentionLeftBytes']),
    warnings: Array.isArray(members['warnings']) ? members['warnings'].filter((one) => typeof one === 'string') : [],
  };
}

const membersOf = (heartbeat: unknown): Readonly<Record<string, unknown>> =>
  typeof heartbeat === 'object' && heartbeat !== null ? (heartbeat as Readonly<Record<string, unknown>>) : {};

const textOf = (value: unknown) => (typeof value === 'string' ? value : undefined);

const numberOf = (value: unknown) =>
  typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;

const windowMs = 30_000;

/** Bytes per second over the last half minute. Heartbeats come every few seconds, so one alone says nothing. */
export class Rate {
  #work = '';
  #samples: { readonly atMs: number; readonly bytes: number }[] = [];

  /** @returns bytes per second; undefined while too little is known */
  observe({ activity, attempt, bytes }: Moving, nowMs: number): number | undefined {
    if (bytes === undefined) return undefined;
    const work = `${activity} ${String(attempt)}`;
    const last = this.#samples.at(-1);
    if (work !== this.#work || (last && bytes < last.bytes)) this.#samples = [];
    this.#work = work;
    if (this.#samples.at(-1)?.bytes !== bytes) this.#samples.push({ atMs: nowMs, bytes });
    // One sample from before the window stays: it is where the window begins.
    while (this.#samples.length > 2 && nowMs - (this.#samples[1]?.atMs ?? nowMs) > windowMs) this.#samples.shift();
    const [first] = this.#samples;
    if (!first || this.#samples.length < 2 || nowMs <= first.atMs) return undefined;
    return ((bytes - first.bytes) * 1000) / (nowMs - first.atMs);
  }
}

/** "dump of gatus, 2 of 5, 1.2 GB of 3.4 GB, 45 MB/s, about 48 s left" */
export function movingText(moving: Moving, rate: number | undefined): string {
  const { bytes, totalBytes, done, total, attempt } = moving;
  const knownTotal = totalBytes !== undefined && totalBytes > 0 ? totalBytes : undefined;
  const left = bytes !== undefined && knownTotal !== undefined ? knownTotal - bytes : undefined;
  return [
    moving.doing ?? moving.activity,
    ...(done !== undefined && total !== undefined ? [`${String(done)} of ${String(total)}`] : []),
    ...(bytes === undefined
      ? []
      : [knownTotal === undefined ? formatBytes(bytes) : `${formatBytes(bytes)} of ${formatBytes(knownTotal)}`]),
    ...(rate === undefined ? [] : [`${formatBytes(rate)}/s`]),
    ...(rate !== undefined && rate > 0 && left !== undefined && left > 0
      ? [`about ${formatSeconds(left / rate)} left`]
      : []),
    ...(attempt > 1 ? [`attempt ${String(attempt)}`] : []),
  ].join(', ');
}
