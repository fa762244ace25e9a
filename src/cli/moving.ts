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
  const members =
    typeof heartbeat === 'object' && heartbeat !== null ? (heartbeat as Readonly<Record<string, unknown>>) : {};
  const number = (name: string) => {
    const value = members[name];
    return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : undefined;
  };
  const doing = members['doing'];
  return {
    activity,
    attempt,
    doing: typeof doing === 'string' ? doing : undefined,
    bytes: number('bytes'),
    totalBytes: number('totalBytes'),
    done: number('done'),
    total: number('total'),
  };
}

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
