import { z } from 'zod';
import { HoldfastError } from './errors.ts';

/**
 * Places in the write-ahead log and the files that it is kept in, as PostgreSQL names them (xlog_internal.h). A place
 * is a bigint here and text ("16/B374D848") wherever it is stored or sent.
 */
export type Lsn = bigint;

export const lsnSchema = z
  .string()
  .regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/i, "must be a place in the write-ahead log such as '16/B374D848'");

/** Throws InvalidArgument. */
export function parseLsn(text: string): Lsn {
  if (!lsnSchema.safeParse(text).success)
    throw new HoldfastError(
      'InvalidArgument',
      `'${text}' is no place in the write-ahead log`,
      "expected two hexadecimal numbers such as '16/B374D848'",
    );
  const [high = '', low = ''] = text.split('/');
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`);
}

/** As PostgreSQL writes it: "0/16B3748". */
export const formatLsn = (lsn: Lsn) =>
  `${(lsn >> 32n).toString(16).toUpperCase()}/${(lsn & 0xffffffffn).toString(16).toUpperCase()}`;

/** wal_segment_size: a power of two from 1 MiB to 1 GiB. */
export const segmentBytesSchema = z
  .number()
  .int()
  .min(1 << 20)
  .max(1 << 30)
  .refine((bytes) => (bytes & (bytes - 1)) === 0, 'must be a power of two');

/** A segment's number counts from the beginning of the log, whatever the timeline. */
export const segmentNumber = (lsn: Lsn, segmentBytes: number): bigint => lsn / BigInt(segmentBytes);

/** Where a segment begins; it ends where the next begins. */
export const segmentStart = (number: bigint, segmentBytes: number): Lsn => number * BigInt(segmentBytes);

const hex8 = (value: bigint | number) => value.toString(16).toUpperCase().padStart(8, '0');

/** 24 hexadecimal digits: "000000010000000000000042". */
export function segmentName(timeline: number, number: bigint, segmentBytes: number): string {
  const perId = 0x1_0000_0000n / BigInt(segmentBytes);
  return `${hex8(timeline)}${hex8(number / perId)}${hex8(number % perId)}`;
}

export interface SegmentId {
  readonly timeline: number;
  readonly number: bigint;
}

/** undefined where the text is no name of a segment of this size. */
export function parseSegmentName(name: string, segmentBytes: number): SegmentId | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const [timeline = 0, id = 0, part = 0] = [0, 8, 16].map((at) => Number.parseInt(name.slice(at, at + 8), 16));
  const perId = 0x1_0000_0000 / segmentBytes;
  // at most 44 bits: a number does, and listings are of a hundred thousand names
  return timeline === 0 || part >= perId ? undefined : { timeline, number: BigInt(id * perId + part) };
}

/** "00000002.history" */
export const historyName = (timeline: number) => `${hex8(timeline)}.history`;

export const timelineDigits = (timeline: number) => hex8(timeline);
