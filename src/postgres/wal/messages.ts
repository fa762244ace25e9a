import { HoldfastError } from '../../domain/errors.ts';
import type { Lsn } from '../../domain/wal.ts';

/** The messages inside a physical replication stream (PostgreSQL's documentation, "Streaming Replication Protocol"). */
export type StreamMessage =
  | {
      readonly kind: 'wal';
      readonly start: Lsn;
      /** Where the server's log ends, as far as it says. */
      readonly serverEnd: Lsn;
      readonly sentAt: Date;
      /** A view into the message. */
      readonly data: Uint8Array;
    }
  | { readonly kind: 'keepalive'; readonly serverEnd: Lsn; readonly sentAt: Date; readonly wantsReply: boolean };

const walHeaderBytes = 25;
const keepaliveBytes = 18;

/** Throws PostgresUnavailable for what is neither. */
export function parseMessage(message: Uint8Array): StreamMessage {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const kind = message.length > 0 ? String.fromCharCode(message[0] ?? 0) : '';
  if (kind === 'w' && message.length >= walHeaderBytes)
    return {
      kind: 'wal',
      start: view.getBigUint64(1),
      serverEnd: view.getBigUint64(9),
      sentAt: fromServerTime(view.getBigInt64(17)),
      data: message.subarray(walHeaderBytes),
    };
  if (kind === 'k' && message.length >= keepaliveBytes)
    return {
      kind: 'keepalive',
      serverEnd: view.getBigUint64(1),
      sentAt: fromServerTime(view.getBigInt64(9)),
      wantsReply: view.getUint8(17) === 1,
    };
  throw new HoldfastError(
    'PostgresUnavailable',
    `the server sent a message of replication that nobody knows ('${kind}', ${String(message.length)} bytes)`,
    'see that nothing lies between the worker and PostgreSQL; the next attempt goes on where this one stopped',
  );
}

export interface Status {
  /** 0n: not said. The server moves the slot to what is said to be flushed, and only then. */
  readonly written: Lsn;
  readonly flushed: Lsn;
  /** Our clock, for the server's statistics alone. */
  readonly at: Date;
  /** Asks the server to answer at once. */
  readonly wantsReply: boolean;
}

/** A standby status update. */
export function statusMessage({ written, flushed, at, wantsReply }: Status): Buffer {
  const message = Buffer.alloc(34);
  message.write('r', 0);
  message.writeBigUInt64BE(written, 1);
  message.writeBigUInt64BE(flushed, 9);
  message.writeBigUInt64BE(0n, 17);
  message.writeBigInt64BE((BigInt(at.getTime()) - postgresEpochMs) * 1_000n, 25);
  message.writeUInt8(wantsReply ? 1 : 0, 33);
  return message;
}

/** 2000-01-01. */
const postgresEpochMs = 946_684_800_000n;

const fromServerTime = (microseconds: bigint) => new Date(Number(microseconds / 1_000n + postgresEpochMs));
