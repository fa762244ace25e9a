import { createHash } from 'node:crypto';
import { HoldfastError } from '../../domain/errors.ts';
import { parseHistory } from '../../domain/timeline.ts';
import { walHistoryKey, type SegmentRun } from '../../domain/wal-archive.ts';
import { parseSegmentName, segmentName } from '../../domain/wal.ts';
import { findSegment } from './archived.ts';
import { backupLabelKey, isBackupLabelName } from './keys.ts';
import { listTimeline } from './list.ts';
import { readSegment, readTrailer, verifySegment, type Reading } from './read.ts';
import { writeSegment, type Archiving, type NewSegment, type WriteOptions, type WrittenSegment } from './write.ts';

export interface WalArchiveWishes extends Archiving {
  /** Names the run whose leavings `sweep` removes: 1 to 32 of [A-Za-z0-9-]. One process at a time has it. */
  readonly run: string;
}

/**
 * The log of one system identifier in a repository, opened for writing and reading. Every method fails with the
 * repository's own errors, and with ObjectDamaged or NameTaken as said.
 */
export class WalArchiveStore {
  readonly #wishes: WalArchiveWishes;
  #turn = 0;

  constructor(wishes: WalArchiveWishes) {
    this.#wishes = wishes;
  }

  /** For messages. */
  get description(): string {
    return `${this.#wishes.repository.description}, the log of ${this.#wishes.cluster}`;
  }

  /** Removes what a process of the same run that died left staged. Not while something is being written. */
  sweep(): Promise<number> {
    return this.#wishes.repository.sweep({ run: this.#wishes.run });
  }

  /** What lies there of one timeline, by the names. */
  timeline(timeline: number): Promise<{ readonly runs: readonly SegmentRun[]; readonly partials: readonly bigint[] }> {
    return listTimeline(this.#wishes.repository, this.#wishes, timeline);
  }

  /** When the server sent the last bytes of a stored segment, by its clock; null where nobody knows. */
  async segmentEndedAt(timeline: number, number: bigint, signal: AbortSignal): Promise<Date | null> {
    const key = await this.#find(timeline, number);
    if (key === undefined) return null;
    const { trailer } = await readTrailer({ repository: this.#wishes.repository, signal }, key);
    return trailer.endedAt === null ? null : new Date(trailer.endedAt);
  }

  /** As writeSegment. */
  write(segment: NewSegment, options: Omit<WriteOptions, 'owner'>): Promise<WrittenSegment> {
    this.#turn = (this.#turn + 1) % 1_000_000;
    // An attempt of its own for each, so that one that failed can be swept while others are being written.
    return writeSegment(this.#wishes, segment, { ...options, owner: { run: this.#wishes.run, attempt: this.#turn } });
  }

  /**
   * Stores the beginning of a segment that will never be whole, when its timeline has ended. What lies there already
   * stays, also where it ends elsewhere: the timeline may have been left twice, at two places in one segment, and
   * objects are written once. Nothing is lost by that: what lies before the place where a timeline was left is in the
   * next one's first segment too. So a partial one serves only who wants the old timeline to its very end.
   */
  async writePartial(
    segment: NewSegment & Required<Pick<NewSegment, 'partial'>>,
    options: Omit<WriteOptions, 'owner'>,
  ): Promise<'written' | 'existed' | 'kept another'> {
    try {
      const { existed } = await this.write(segment, options);
      return existed ? 'existed' : 'written';
    } catch (error) {
      if (error instanceof HoldfastError && error.type === 'NameTaken') return 'kept another';
      throw error;
    }
  }

  /**
   * Stores a timeline's history as the server has it. The same switches there already are success, whatever the reasons
   * say beside them; others are NameTaken. ObjectDamaged for what is no history.
   */
  async putHistory(timeline: number, content: Uint8Array, signal: AbortSignal): Promise<'written' | 'existed'> {
    const { repository, cluster, systemIdentifier } = this.#wishes;
    const key = walHistoryKey(cluster, systemIdentifier, timeline);
    const wanted = parseHistory(Buffer.from(content).toString('utf8'), key);
    const there = await repository.readText(key);
    if (there === undefined) {
      await this.#put(key, content, signal);
      return 'written';
    }
    const found = parseHistory(there, key);
    const text = (history: typeof wanted) =>
      history.map((each) => `${String(each.timeline)} ${String(each.switchLsn)}`);
    if (text(found).join() === text(wanted).join()) return 'existed';
    throw new HoldfastError(
      'NameTaken',
      `${key} exists already and tells of another history: sha-256 ${sha256(there)} there, ${sha256(content)} to be stored`,
      'two servers took the same timeline number: archive only the right one, and promote the other again behind it',
    );
  }

  /** undefined: certainly none there. */
  history(timeline: number): Promise<string | undefined> {
    const { repository, cluster, systemIdentifier } = this.#wishes;
    return repository.readText(walHistoryKey(cluster, systemIdentifier, timeline));
  }

  /** Stores PostgreSQL's note on a base backup under its own name. The same there already is success, another NameTaken. */
  async putBackupLabel(name: string, content: Uint8Array, signal: AbortSignal): Promise<void> {
    if (!isBackupLabelName(name))
      throw new HoldfastError('InvalidArgument', `${name} is no backup history file`, 'report this as a bug');
    await this.#put(backupLabelKey(this.#wishes.cluster, this.#wishes.systemIdentifier, name), content, signal);
  }

  /**
   * A segment's plain bytes, verified as readSegment does; undefined: certainly not there. A store that doesn't answer
   * is an error, never undefined.
   */
  async segment(name: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined> {
    const id = parseSegmentName(name, this.#wishes.segmentBytes);
    const key = id === undefined ? undefined : await this.#find(id.timeline, id.number);
    return key === undefined ? undefined : readSegment(this.#reading(signal), key);
  }

  /** Reads a stored object to its end; ObjectDamaged where it isn't what it should be. Returns its plain digest. */
  verify(key: string, signal: AbortSignal): Promise<{ readonly sha256: string }> {
    return verifySegment(this.#reading(signal), key);
  }

  #reading(signal: AbortSignal): Reading {
    return { repository: this.#wishes.repository, compressors: this.#wishes.compressors, signal };
  }

  async #find(timeline: number, number: bigint): Promise<string | undefined> {
    const { repository, cluster, systemIdentifier, segmentBytes } = this.#wishes;
    const segment = segmentName(timeline, number, segmentBytes);
    return (await findSegment(repository, { cluster, systemIdentifier, timeline, segment }))?.key;
  }

  async #put(key: string, content: Uint8Array, signal: AbortSignal): Promise<void> {
    this.#turn = (this.#turn + 1) % 1_000_000;
    await this.#wishes.repository.put(key, { run: this.#wishes.run, attempt: this.#turn }, content, signal);
  }
}

const sha256 = (content: string | Uint8Array) => createHash('sha256').update(content).digest('hex');
