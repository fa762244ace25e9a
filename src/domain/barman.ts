import { microsOf, parseInstant } from './recovery-target.ts';
import { lsnSchema, segmentBytesSchema } from './wal.ts';

/**
 * What Barman Cloud leaves in an object store, below `<destination path>/<server name>/`: base/<id>/backup.info beside
 * the backup's tar files, and wals/<16 digits>/<24 digits>, maybe with the ending of a compression; a timeline's
 * history right below wals/. As of Barman 3.17.
 */

/** A base backup that CloudNativePG can begin a recovery with. */
export interface CnpgBase {
  /** What recoveryTarget.backupID names; null: a volume snapshot. */
  readonly id: string | null;
  /** The Backup object, where one is known. */
  readonly object: string | null;
  /** Volume snapshots by the role of their volume; null: it lies in an object store. */
  readonly snapshots: readonly CnpgSnapshot[] | null;
  readonly timeline: number;
  readonly beginWal: string;
  readonly beginLsn: string;
  /** Where it is consistent. */
  readonly endLsn: string;
  /** ISO; a recovery to a time begins with a backup that had ended by then. */
  readonly finishedAt: string;
  readonly systemIdentifier: string | null;
  /** null: not told; 16 MiB is usual. */
  readonly segmentBytes: number | null;
  /** What the data takes on a disk, at least; null: not told. */
  readonly dataBytes: number | null;
}

export interface CnpgSnapshot {
  readonly name: string;
  readonly role: 'data' | 'wal' | 'tablespace';
  /** With role tablespace. */
  readonly tablespace: string | null;
}

/**
 * Reads a backup.info. A backup that isn't done, or not as this version knows it, is a flaw in words: a recovery passes
 * it over, and says so.
 * @param id name of its directory
 * @param storedBytes of the backup's files in the store
 */
export function parseBackupInfo(
  text: string,
  id: string,
  storedBytes: number,
): { readonly base: CnpgBase } | { readonly flaw: string } {
  const members = new Map<string, string>();
  for (const line of text.split('\n')) {
    const at = line.indexOf('=');
    if (at > 0) members.set(line.slice(0, at).trim(), line.slice(at + 1).trim());
  }
  const given = (name: string): string | null => {
    const value = members.get(name);
    return value === undefined || value === '' || value === 'None' ? null : value;
  };
  const status = given('status');
  if (status !== 'DONE') return { flaw: `it is not done: status ${status ?? 'unknown'}` };
  const [beginWal, beginLsn, endLsn, ended] = ['begin_wal', 'begin_xlog', 'end_xlog', 'end_time'].map(given);
  const timeline = Number(given('timeline') ?? '');
  const finishedAt = isoOf(ended ?? '');
  if (
    beginWal === undefined ||
    beginWal === null ||
    !lsnSchema.safeParse(beginLsn).success ||
    !lsnSchema.safeParse(endLsn).success ||
    !Number.isInteger(timeline) ||
    timeline < 1 ||
    finishedAt === null
  )
    return { flaw: 'its begin_wal, begin_xlog, end_xlog, end_time or timeline is missing, or not as Barman writes it' };
  const segmentBytes = segmentBytesSchema.safeParse(Number(given('xlog_segment_size') ?? ''));
  return {
    base: {
      id,
      object: null,
      snapshots: null,
      timeline,
      beginWal,
      beginLsn: beginLsn ?? '',
      endLsn: endLsn ?? '',
      finishedAt,
      systemIdentifier: given('systemid'),
      segmentBytes: segmentBytes.success ? segmentBytes.data : null,
      dataBytes: bytesOf(given('cluster_size')) ?? (given('compression') === null ? storedBytes : null),
    },
  };
}

function bytesOf(text: string | null): number | null {
  const bytes = Number(text ?? '');
  return text !== null && Number.isSafeInteger(bytes) && bytes > 0 ? bytes : null;
}

const usualOrder = /^[A-Z][a-z]{2} ([A-Z][a-z]{2}) +(\d{1,2}) (\d{2}:\d{2}:\d{2}) (\d{4})$/;

/** Barman writes 2026-11-21 22:40:18.790602+00:00; older ones `Sat Nov 21 22:40:18 2026`, which is UTC. */
function isoOf(text: string): string | null {
  const old = usualOrder.exec(text);
  if (old !== null) {
    const at = Date.parse(`${old[2] ?? ''} ${old[1] ?? ''} ${old[4] ?? ''} ${old[3] ?? ''} UTC`);
    return Number.isNaN(at) ? null : new Date(at).toISOString();
  }
  const parsed = parseInstant(text);
  // Up to the next millisecond: a target must never seem to lie behind an end that it lies before.
  return parsed === undefined ? null : new Date(Number((microsOf(parsed.text) + 999n) / 1000n)).toISOString();
}

export type BarmanEntry =
  | { readonly kind: 'info'; readonly id: string }
  | { readonly kind: 'data'; readonly id: string }
  | { readonly kind: 'segment'; readonly segment: string }
  | { readonly kind: 'history'; readonly timeline: number; readonly compression: string }
  | { readonly kind: 'other' };

/** What an object is, by its key below the server's name. */
export function barmanEntry(key: string): BarmanEntry {
  const base = /^base\/([^/]+)\/(.+)$/.exec(key);
  if (base !== null) return { kind: base[2] === 'backup.info' ? 'info' : 'data', id: base[1] ?? '' };
  const segment = /^wals\/[0-9A-F]{16}\/([0-9A-F]{24})(\.(gz|bz2|lz4|zst|xz|snappy))?$/.exec(key);
  if (segment !== null) return { kind: 'segment', segment: segment[1] ?? '' };
  const history = /^wals\/([0-9A-F]{8})\.history(?:\.([a-z0-9]+))?$/.exec(key);
  if (history !== null)
    return { kind: 'history', timeline: Number.parseInt(history[1] ?? '', 16), compression: history[2] ?? '' };
  return { kind: 'other' };
}
