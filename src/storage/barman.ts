import { gunzipSync } from 'node:zlib';
import { barmanEntry, parseBackupInfo, type CnpgBase } from '../domain/barman.ts';
import type { BarmanPlace, SecretKey } from '../domain/cnpg-definition.ts';
import type { CnpgWal } from '../domain/cnpg-recovery-facts.ts';
import { HoldfastError } from '../domain/errors.ts';
import { joinKey } from '../domain/ids.ts';
import type { S3Spec } from '../domain/specs.ts';
import { parseHistory, type TimelineHistory } from '../domain/timeline.ts';
import { historyName, parseSegmentName, segmentName } from '../domain/wal.ts';
import type { ReadSecret } from './open.ts';
import { Connection, type S3Options } from './s3/connection.ts';
import { listAll } from './s3/listing.ts';
import { readSmall } from './s3/reading.ts';

/** What lies of one cluster in an object store that Barman Cloud writes. It is only ever read. */
export interface BarmanStore {
  /** Those that are done. */
  readonly bases: readonly CnpgBase[];
  /** Backups that can't be used, and why; histories that can't be read. A sentence each. */
  readonly flaws: readonly string[];
  readonly wal: CnpgWal;
}

const usualSegmentBytes = 16 * 1024 * 1024;
/** A plan shall not wait for minutes for a store that can't be reached from here. */
const hasty: S3Options = { attempts: 4, connectTimeoutMs: 5_000 };

/**
 * Lists the base backups and the WAL of a server name: all of it, by the names, in the memory that the gaps take.
 * Fails as a repository does: StoreUnavailable, StoreNotMounted where there is no such bucket.
 * @param readSecret of references { secret, key }
 */
export async function readBarmanStore(
  place: BarmanPlace,
  serverName: string,
  readSecret: ReadSecret,
): Promise<BarmanStore> {
  const connection = await open(place, serverName, readSecret);
  const { bases, flaws } = await readBases(connection);
  const segmentBytes = bases.find((base) => base.segmentBytes !== null)?.segmentBytes ?? usualSegmentBytes;
  const wal = await readWal(connection, segmentBytes);
  return {
    bases,
    flaws: [...flaws, ...wal.flaws],
    wal: {
      archive: {
        systemIdentifier: bases.at(-1)?.systemIdentifier ?? '',
        segmentBytes,
        segments: wal.segments,
        histories: wal.histories,
      },
      storedAt: wal.storedAt,
    },
  };
}

/** Whether anything lies below a server name. */
export async function isBarmanPathTaken(
  place: BarmanPlace,
  serverName: string,
  readSecret: ReadSecret,
): Promise<boolean> {
  const connection = await open(place, serverName, readSecret);
  const first = await listAll(connection, '').next();
  return first.done !== true;
}

async function open(place: BarmanPlace, serverName: string, readSecret: ReadSecret): Promise<Connection> {
  const reference = ({ name, key }: SecretKey) => ({ secret: name, key });
  const spec: S3Spec = {
    name: serverName,
    s3: {
      bucket: place.bucket,
      prefix: joinKey(place.prefix, serverName),
      endpoint: place.endpoint,
      region: place.region === null ? 'us-east-1' : (await readSecret(reference(place.region))).trim(),
      pathStyle: place.endpoint !== null,
      maxParts: 10_000,
      partSize: null,
      credentials: {
        accessKeyId: reference(place.accessKeyId),
        secretAccessKey: reference(place.secretAccessKey),
        sessionToken: place.sessionToken === null ? null : reference(place.sessionToken),
      },
    },
  };
  return new Connection(spec, readSecret, hasty);
}

async function readBases(connection: Connection): Promise<{ bases: CnpgBase[]; flaws: string[] }> {
  const stored = new Map<string, number>();
  const infos: { readonly id: string; readonly key: string }[] = [];
  for await (const { key, bytes } of listAll(connection, 'base/')) {
    const entry = barmanEntry(key);
    if (entry.kind === 'info') infos.push({ id: entry.id, key });
    if (entry.kind === 'data') stored.set(entry.id, (stored.get(entry.id) ?? 0) + bytes);
  }
  const bases: CnpgBase[] = [];
  const flaws: string[] = [];
  for (const { id, key } of infos) {
    const text = (await readSmall(connection, key))?.body.toString('utf8');
    if (text === undefined) continue;
    const read = parseBackupInfo(text, id, stored.get(id) ?? 0);
    if ('base' in read) bases.push(read.base);
    else flaws.push(`base backup ${id} can't be used: ${read.flaw}`);
  }
  return { bases, flaws };
}

/** Runs of one timeline, with the time at which the last segment of each was stored. */
type Runs = { first: bigint; last: bigint; at: Date }[];

async function readWal(connection: Connection, segmentBytes: number) {
  const byTimeline = new Map<number, Runs>();
  const histories = new Map<number, TimelineHistory>();
  const flaws: string[] = [];
  for await (const { key, modifiedAt } of listAll(connection, 'wals/')) {
    const entry = barmanEntry(key);
    if (entry.kind === 'history') {
      const history = await readHistory(connection, key, entry);
      if (typeof history === 'string') flaws.push(history);
      else histories.set(entry.timeline, history);
    }
    const segment = entry.kind === 'segment' ? parseSegmentName(entry.segment, segmentBytes) : undefined;
    if (segment === undefined) continue;
    const runs = byTimeline.get(segment.timeline) ?? [];
    byTimeline.set(segment.timeline, runs);
    const last = runs.at(-1);
    // Keys come in rising order; the same segment may lie there in two compressions.
    if (last !== undefined && (last.last === segment.number || last.last + 1n === segment.number)) {
      last.last = segment.number;
      last.at = modifiedAt;
    } else runs.push({ first: segment.number, last: segment.number, at: modifiedAt });
  }
  const timelines = [...byTimeline].sort(([a], [b]) => a - b);
  return {
    flaws,
    histories,
    segments: new Map(
      timelines.map(([timeline, runs]) => [timeline, runs.map(({ first, last }) => ({ first, last }))]),
    ),
    storedAt: new Map(
      timelines.flatMap(([timeline, runs]) =>
        // Stores tell whole seconds, cut off.
        runs.map(
          ({ last, at }) =>
            [segmentName(timeline, last, segmentBytes), new Date(at.getTime() + 1000).toISOString()] as const,
        ),
      ),
    ),
  };
}

/** In words, where it can't be read. */
async function readHistory(
  connection: Connection,
  key: string,
  { timeline, compression }: { readonly timeline: number; readonly compression: string },
): Promise<TimelineHistory | string> {
  const name = historyName(timeline);
  if (compression !== '' && compression !== 'gz')
    return `${name} is compressed by ${compression}, which Holdfast can't unpack`;
  try {
    const found = await readSmall(connection, key);
    if (found === undefined) return `${name} went away while it was read`;
    return parseHistory((compression === 'gz' ? gunzipSync(found.body) : found.body).toString('utf8'), name);
  } catch (error) {
    if (error instanceof HoldfastError && error.type !== 'ObjectDamaged') throw error;
    return `${name} can't be read`;
  }
}
