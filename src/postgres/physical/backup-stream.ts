import { HoldfastError } from '../../domain/errors.ts';
import type { Compressor } from '../../streams/compress.ts';
import type { CopyOutHandlers, Row } from '../replication/connection.ts';
import {
  announcedArchive,
  archiveName,
  logPlace,
  misspoken,
  readMessage,
  type AnnouncedArchive,
  type LogPlace,
} from './protocol.ts';
import type { StallWatch } from './stall.ts';
import { CompressingTarget, PlainTarget, type BackupSink, type StoredBytes, type Target } from './targets.ts';

/** How the archives are stored, and what that adds to their names. */
export type Packing =
  | { readonly by: 'server'; readonly compression: 'zstd' | 'lz4' | 'gzip' | 'none' }
  | { readonly by: 'worker'; readonly compressor: Compressor };

export const compressionOf = (packing: Packing) =>
  packing.by === 'server' ? packing.compression : packing.compressor.compression;

const endings = { zstd: '.zst', lz4: '.lz4', gzip: '.gz', none: '' } as const;

export interface ReceivedArchive<Stored> {
  readonly name: string;
  readonly tablespace: number | null;
  readonly stored: Stored;
  /** Of the tar, as the server counted. */
  readonly plainBytes: number;
}

export interface ReceivedBackup<Stored> {
  readonly start: LogPlace;
  readonly stop: LogPlace;
  readonly announced: readonly AnnouncedArchive[];
  /** In the server's order: tablespaces, then the data directory. */
  readonly archives: readonly ReceivedArchive<Stored>[];
  readonly manifest: Stored;
}

export interface BackupStreamOptions<Stored extends StoredBytes> {
  readonly packing: Packing;
  readonly watch: StallWatch;
  readonly signal: AbortSignal;
  /** @param expectedBytes a guess */
  readonly open: (name: string, expectedBytes: number) => Promise<BackupSink<Stored>>;
  readonly onProgress: (progress: { readonly bytes: number; readonly total: number; readonly stored: number }) => void;
  /** The server has begun to send. */
  readonly onBegun: () => void;
}

const manifestBytesGuess = 4 * 1024 * 1024;

/** Takes what BASE_BACKUP sends and writes each archive, and the manifest, into an object of its own. */
export class BackupStream<Stored extends StoredBytes> implements CopyOutHandlers {
  readonly #options: BackupStreamOptions<Stored>;
  #start: LogPlace | undefined;
  #stop: LogPlace | undefined;
  #announced: readonly AnnouncedArchive[] | undefined;
  #total = 0;
  /** As the server counts. */
  #plainBytes = 0;
  #storedBytes = 0;
  #current: { readonly target: Target<Stored>; readonly end: (stored: Stored, plainBytes: number) => void } | undefined;
  /** One object at most is made durable while the next one comes. */
  #ending: { readonly target: Target<Stored>; readonly ended: Promise<void> } | undefined;
  readonly #archives: ReceivedArchive<Stored>[] = [];
  readonly #seen = new Set<string>();
  #manifest: Stored | undefined;
  #aborted = false;

  constructor(options: BackupStreamOptions<Stored>) {
    this.#options = options;
  }

  /** Whether the server has answered at all: it refuses what it can't do before. */
  get begun(): boolean {
    return this.#start !== undefined;
  }

  onRows(rows: readonly Row[]): void {
    if (this.#start === undefined) {
      this.#start = logPlace(rows);
      this.#options.onBegun();
    } else if (this.#announced === undefined) {
      this.#announced = rows.map(announcedArchive);
      this.#total = this.#announced.reduce((sum, { bytes }) => sum + bytes, 0);
      this.#report();
    } else this.#stop = logPlace(rows);
  }

  onData(message: Uint8Array): Promise<void> | undefined {
    this.#options.watch.moved();
    const read = readMessage(message);
    switch (read.kind) {
      case 'data':
        if (this.#current === undefined) throw misspoken('bytes of no archive');
        return this.#current.target.add(read.bytes);
      case 'progress':
        this.#plainBytes = read.bytes;
        this.#report();
        return undefined;
      case 'archive':
        return this.#beginArchive(read.name);
      case 'manifest':
        return this.#beginManifest();
    }
  }

  /** Once the server has sent everything: the rest is made durable. */
  async end(): Promise<ReceivedBackup<Stored>> {
    await this.#endCurrent();
    await this.#ending?.ended;
    this.#ending = undefined;
    if (this.#start === undefined || this.#stop === undefined) throw misspoken('no end of the backup');
    if (this.#manifest === undefined) throw misspoken('no backup manifest');
    const announced = this.#announced ?? [];
    if (this.#archives.length !== announced.length)
      throw misspoken(`${String(this.#archives.length)} of ${String(announced.length)} archives`);
    return {
      start: this.#start,
      stop: this.#stop,
      announced,
      archives: this.#archives,
      manifest: this.#manifest,
    };
  }

  /** Throws away every object that isn't finished. Never fails. */
  async abort(): Promise<void> {
    this.#aborted = true;
    const targets = [this.#current, this.#ending].flatMap((each) => (each === undefined ? [] : [each.target]));
    this.#current = undefined;
    this.#ending = undefined;
    await Promise.all(targets.map((target) => target.abort()));
  }

  async #beginArchive(name: string): Promise<void> {
    await this.#endCurrent();
    const { packing, watch, signal } = this.#options;
    const serverEnding = packing.by === 'server' ? endings[packing.compression] : '';
    const archive = this.#announced?.find(({ tablespace }) => archiveName(tablespace) + serverEnding === name);
    if (archive === undefined || this.#seen.has(name)) throw misspoken(`an archive ${JSON.stringify(name)}`);
    this.#seen.add(name);
    const before = this.#plainBytes;
    const { tablespace } = archive;
    const storedName = archiveName(tablespace) + endings[compressionOf(packing)];
    const sink = await this.#open(storedName, archive.bytes);
    const onStored = this.#onStored;
    const target =
      packing.by === 'worker'
        ? new CompressingTarget(sink, packing.compressor, { watch, onStored, signal })
        : new PlainTarget(sink, watch, onStored);
    this.#current = {
      target,
      end: (stored, plainBytes) => {
        this.#archives.push({ name: storedName, tablespace, stored, plainBytes: plainBytes - before });
      },
    };
  }

  async #beginManifest(): Promise<void> {
    await this.#endCurrent();
    if (this.#seen.has('backup_manifest')) throw misspoken('a second manifest');
    this.#seen.add('backup_manifest');
    const sink = await this.#open('backup_manifest', manifestBytesGuess);
    const target = new PlainTarget(sink, this.#options.watch, this.#onStored);
    this.#current = {
      target,
      end: (stored) => {
        this.#manifest = stored;
      },
    };
  }

  /** Waits for the object before, not for the one whose end it begins. */
  async #endCurrent(): Promise<void> {
    await this.#ending?.ended;
    this.#ending = undefined;
    if (this.#current === undefined) return;
    const { target, end } = this.#current;
    this.#current = undefined;
    // The server counts on in the next archive.
    const plainBytes = this.#plainBytes;
    const ended = target.end().then((stored) => {
      end(stored, plainBytes);
    });
    ended.catch(() => undefined);
    this.#ending = { target, ended };
  }

  async #open(name: string, expectedBytes: number): Promise<BackupSink<Stored>> {
    const sink = await this.#options.watch.taking(this.#options.open(name, expectedBytes));
    if (!this.#aborted) return sink;
    await sink.abort();
    throw new HoldfastError('Unexpected', `${name} was opened too late`, 'the backup had failed already');
  }

  readonly #onStored = (bytes: number) => {
    this.#storedBytes += bytes;
  };

  #report(): void {
    this.#options.onProgress({ bytes: this.#plainBytes, total: this.#total, stored: this.#storedBytes });
  }
}
