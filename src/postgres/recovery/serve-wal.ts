import { watch, type FSWatcher } from 'node:fs';
import { open, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { HoldfastError } from '../../domain/errors.ts';
import { parseHistory } from '../../domain/timeline.ts';
import { ancestry, segmentAlong, timelineOfSegment, type TimelinePath } from '../../domain/timeline-path.ts';
import { historyName, parseSegmentName, type SegmentId } from '../../domain/wal.ts';
import type { RunAs } from '../instance/run-as.ts';
import { prepareSpool, type Spool } from './spool.ts';
import { targetError } from './target-error.ts';
import type { WalSource } from './wal-source.ts';

export interface ServeInput {
  readonly spool: Spool;
  readonly source: WalSource;
  readonly segmentBytes: number;
  /** The timeline that recovery goes along. */
  readonly timeline: number;
  /**
   * The archive's end on the way to that timeline, as the plan has found it; undefined: nothing is archived. Nothing
   * beyond is ever served, and everything before has to be there.
   */
  readonly last: SegmentId | undefined;
  readonly owner: RunAs | undefined;
  /** The recovering server's own pg_wal. */
  readonly localWal: string;
  /** How many segments are fetched ahead, at once; default 4, fewer of large ones: the spool holds at most 128 MiB. */
  readonly ahead?: number;
  readonly signal: AbortSignal;
  readonly onAnswer?: (answer: WalAnswer) => void;
}

export interface WalAnswer {
  readonly name: string;
  /** served: the file is in the spool. end: a segment beyond the archive's end. absent: anything else that isn't there. */
  readonly kind: 'served' | 'end' | 'absent';
}

const spoolBytes = 128 * 1024 * 1024;
const pollMs = 100;

/**
 * Answers a recovering server's requests for WAL until the signal is aborted; then resolves. A server that waits is
 * answered by whoever serves next.
 *
 * Fails, leaving the server waiting, with ObjectDamaged where a segment or history that must be there isn't (a hole is
 * never the archive's end), or has another length; with what the source fails with; with StoreFull.
 */
export async function serveWal(input: ServeInput): Promise<void> {
  const { spool, signal } = input;
  await prepareSpool(spool, input.owner);
  const path = await pathTo(input.source, input.timeline, signal);
  const serving = new Serving(input, path);
  await serving.run();
}

/** The way to a timeline, by its history. Fails with ObjectDamaged where the archive hasn't got that. */
export async function pathTo(source: WalSource, timeline: number, signal: AbortSignal): Promise<TimelinePath> {
  const text = timeline === 1 ? '' : await source.history(timeline, signal);
  const histories = text === undefined ? [] : [[timeline, parseHistory(text, historyName(timeline))] as const];
  const path = ancestry({ histories: new Map(histories) }, timeline);
  if (path !== undefined) return path;
  throw new HoldfastError(
    'ObjectDamaged',
    `${historyName(timeline)}, the history of timeline ${String(timeline)}, is not in the archive`,
    'without it PostgreSQL refuses to recover along that timeline: put it back, or recover along another one',
  );
}

class Serving {
  readonly #input: ServeInput;
  readonly #path: TimelinePath;
  readonly #ahead: number;
  /** Segments that are being fetched. */
  readonly #fetching = new Map<string, Promise<boolean>>();
  /** Segments that lay in ready/ by our hand when we last looked. */
  readonly #placed = new Map<string, bigint>();
  /** Where the window of segments fetched ahead begins. */
  #front: bigint | undefined;
  #wake: () => void = () => undefined;

  constructor(input: ServeInput, path: TimelinePath) {
    this.#input = input;
    this.#path = path;
    this.#ahead = Math.max(1, Math.min(input.ahead ?? 4, Math.floor(spoolBytes / input.segmentBytes) - 1));
  }

  async run(): Promise<void> {
    const { spool, signal } = this.#input;
    const wake = () => {
      this.#wake();
    };
    const watchers = [spool.want, spool.ready].map((directory) => watchQuietly(directory, wake));
    signal.addEventListener('abort', wake);
    try {
      while (!signal.aborted) {
        await this.#look();
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, pollMs);
          this.#wake = () => {
            clearTimeout(timer);
            resolve();
          };
        });
      }
    } catch (error) {
      if (!signal.aborted) throw targetError(error, spool.directory);
    } finally {
      signal.removeEventListener('abort', wake);
      for (const watcher of watchers) watcher?.close();
      await Promise.allSettled(this.#fetching.values());
    }
  }

  async #look(): Promise<void> {
    const { spool } = this.#input;
    const [wanted, ready] = await Promise.all([readdir(spool.want), readdir(spool.ready)]);
    const there = new Set(ready);
    for (const [name, number] of this.#placed) {
      if (there.has(name)) continue;
      this.#placed.delete(name);
      this.#moveTo(number + 1n);
    }
    const asked = wanted.filter((name) => !there.has(name));
    await Promise.all(asked.map((name) => this.#answer(name)));
    if (this.#front !== undefined) this.#fetchAhead(this.#front);
    // What a server that went back doesn't need now is not kept: the disk is bounded.
    const front = this.#front ?? 0n;
    for (const [name, number] of this.#placed)
      if (number < front || number > front + BigInt(this.#ahead)) {
        this.#placed.delete(name);
        await rm(join(spool.ready, name), { force: true });
      }
  }

  #moveTo(number: bigint): void {
    if (this.#front === undefined || number > this.#front) this.#front = number;
  }

  async #answer(name: string): Promise<void> {
    const { segmentBytes, source, signal, last } = this.#input;
    const id = parseSegmentName(name, segmentBytes);
    if (id !== undefined) {
      const isOnTheWay = id.timeline === timelineOfSegment(this.#path, id.number, segmentBytes);
      const isBeyond = last === undefined || id.number > last.number;
      if (!isOnTheWay || isBeyond) {
        await this.#sayAbsent(name, isOnTheWay ? 'end' : 'absent');
        return;
      }
      // A server that was restarted begins further back.
      this.#front = id.number;
      this.#fetchAhead(id.number);
      if (await this.#fetch(name, id.number)) this.#input.onAnswer?.({ name, kind: 'served' });
      else if (await this.#isLocal(name)) await this.#sayAbsent(name, 'absent');
      else throw hole(name);
      return;
    }
    const timeline = /^([0-9A-F]{8})\.history$/.exec(name)?.[1];
    const text = timeline === undefined ? undefined : await source.history(Number.parseInt(timeline, 16), signal);
    if (text === undefined) await this.#sayAbsent(name, 'absent');
    else {
      await this.#place(name, [Buffer.from(text)]);
      this.#input.onAnswer?.({ name, kind: 'served' });
    }
  }

  /** A backup that includes its WAL needn't have all of it in the archive: PostgreSQL looks into pg_wal next. */
  async #isLocal(name: string): Promise<boolean> {
    const found = await stat(join(this.#input.localWal, name)).catch(() => undefined);
    return found?.size === this.#input.segmentBytes;
  }

  async #sayAbsent(name: string, kind: 'end' | 'absent'): Promise<void> {
    const { spool } = this.#input;
    await rm(join(spool.want, name), { force: true });
    await writeFile(join(spool.absent, name), '');
    this.#input.onAnswer?.({ name, kind });
  }

  #fetchAhead(front: bigint): void {
    const { last, segmentBytes } = this.#input;
    for (let ahead = 0; ahead < this.#ahead; ahead += 1) {
      const number = front + BigInt(ahead);
      if (last === undefined || number > last.number) return;
      const name = segmentAlong(this.#path, number, segmentBytes);
      if (this.#placed.has(name)) continue;
      // What fails here is tried again, and told, when the server asks for it.
      this.#fetch(name, number).then(
        () => {
          this.#wake();
        },
        () => undefined,
      );
    }
  }

  /** One fetch per segment at a time, whoever asks; false: the source has none. */
  #fetch(name: string, number: bigint): Promise<boolean> {
    const underWay = this.#fetching.get(name);
    if (underWay !== undefined) return underWay;
    const fetch = (async () => {
      const body = await this.#input.source.segment(name, this.#input.signal);
      if (body === undefined) return false;
      await this.#place(name, body, this.#input.segmentBytes);
      this.#placed.set(name, number);
      return true;
    })().finally(() => this.#fetching.delete(name));
    this.#fetching.set(name, fetch);
    return fetch;
  }

  /** Under its name only when it is whole. */
  async #place(name: string, body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, length?: number): Promise<void> {
    const { spool, owner, signal } = this.#input;
    const temporary = join(spool.directory, `${name}.${String(process.pid)}.new`);
    let bytes = 0;
    try {
      const file = await open(temporary, 'w', 0o600);
      try {
        for await (const chunk of body) {
          signal.throwIfAborted();
          bytes += chunk.length;
          await file.writeFile(chunk);
        }
        if (owner !== undefined) await file.chown(owner.uid, owner.gid);
      } finally {
        await file.close();
      }
      if (length !== undefined && bytes !== length)
        throw new HoldfastError(
          'ObjectDamaged',
          `WAL segment ${name} has ${String(bytes)} bytes instead of ${String(length)}`,
          'recovery can go no further than the segment before it: put the whole one there if you have it elsewhere',
        );
      await rename(temporary, join(spool.ready, name));
    } catch (error) {
      await rm(temporary, { force: true }).catch(() => undefined);
      throw error;
    }
  }
}

const hole = (name: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `WAL segment ${name} is not in the archive, though later ones were there when the recovery was planned`,
    'recovery can go no further than the segment before it: put it back if you have it elsewhere, or plan again',
  );

/** Only to be quicker than polling; some file systems can't. */
function watchQuietly(directory: string, wake: () => void): FSWatcher | undefined {
  try {
    const watcher = watch(directory, { persistent: false }, wake);
    watcher.on('error', () => undefined);
    return watcher;
  } catch {
    return undefined;
  }
}
