import { HoldfastError } from '../../domain/errors.ts';
import type { Row } from '../replication/connection.ts';

/** What BASE_BACKUP sends since PostgreSQL 15 (docs, "Streaming Replication Protocol"). */
export type BackupMessage =
  | { readonly kind: 'archive'; readonly name: string }
  | { readonly kind: 'manifest' }
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  /** Bytes of all archives so far, before compression. */
  | { readonly kind: 'progress'; readonly bytes: number };

export function readMessage(message: Uint8Array): BackupMessage {
  if (message.length === 0) throw misspoken('an empty message');
  const body = Buffer.from(message.buffer, message.byteOffset + 1, message.length - 1);
  switch (message[0]) {
    case 0x64:
      return { kind: 'data', bytes: body };
    case 0x70:
      if (body.length !== 8) break;
      return { kind: 'progress', bytes: Number(body.readBigInt64BE()) };
    case 0x6e: {
      const end = body.indexOf(0);
      if (end === -1) break;
      return { kind: 'archive', name: body.toString('utf8', 0, end) };
    }
    case 0x6d:
      return { kind: 'manifest' };
    default:
  }
  throw misspoken(`a message of kind ${String(message[0])} and ${String(message.length)} bytes`);
}

/** One row of the second result set. */
export interface AnnouncedArchive {
  /** null: the data directory. */
  readonly tablespace: number | null;
  readonly location: string | null;
  /** The server's own estimate, in bytes. */
  readonly bytes: number;
}

export const announcedArchive = (row: Row): AnnouncedArchive => ({
  tablespace: typeof row['spcoid'] === 'string' ? Number(row['spcoid']) : null,
  location: row['spclocation'] ?? null,
  bytes: Number(row['size'] ?? 0) * 1024,
});

/** As the server names it, without what the compression adds: "base.tar", "16399.tar". */
export const archiveName = (tablespace: number | null) => `${tablespace === null ? 'base' : String(tablespace)}.tar`;

/** One row of the first and of the last result set. */
export interface LogPlace {
  readonly lsn: string;
  readonly timeline: number;
}

export function logPlace(rows: readonly Row[]): LogPlace {
  const lsn = rows[0]?.['recptr'];
  const timeline = Number(rows[0]?.['tli']);
  if (typeof lsn !== 'string' || !Number.isInteger(timeline)) throw misspoken('no place in the write-ahead log');
  return { lsn, timeline };
}

/** The other side lies, or a future version speaks otherwise. */
export const misspoken = (what: string) =>
  new HoldfastError(
    'DumpFailed',
    `the server sent ${what} where BASE_BACKUP has none`,
    'take another base backup; if it fails again, look whether something between the worker and PostgreSQL changes bytes',
  );
