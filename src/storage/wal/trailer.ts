import { z } from 'zod';
import { lsnSchema } from '../../domain/wal.ts';

/**
 * What every stored segment ends with, so that an object describes itself: 512 bytes that stock tools skip. In a zstd
 * file it is a skippable frame, in a gzip file an empty member with the text in its header's extra field.
 */
export const trailerBytes = 512;

export const trailerSchema = z.object({
  version: z.literal(1),
  /** The segment's name, or that of the segment which a partial one is the beginning of. */
  segment: z.string().regex(/^[0-9A-F]{24}$/),
  timeline: z.number().int().positive(),
  systemIdentifier: z.string().regex(/^[0-9]{1,20}$/),
  /** Of the plain segment, which is wal_segment_size. */
  bytes: z.number().int().positive(),
  /** Of the plain bytes: compressed ones differ between versions of zstd. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** By the server's clock, when it sent the segment's last bytes; null where nobody knows. */
  endedAt: z.iso.datetime().nullable(),
  /** Of a partial segment: where its log ends; from there on it is filled with zeros. null for a whole one. */
  endLsn: lsnSchema.nullable(),
});

export type Trailer = Readonly<z.infer<typeof trailerSchema>>;

/** One of the magic numbers of skippable frames (RFC 8878, 3.1.2): 0x184D2A50 to 0x184D2A5F. */
const zstdMagic = 0x184d2a57;
const zstdHeaderBytes = 8;

/** Magic, deflate, FEXTRA; no time, no flags, unknown system (RFC 1952). */
const gzipHeader = Buffer.from([0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 0xff]);
/** An empty block, the CRC of nothing, no bytes. */
const gzipEmpty = Buffer.from([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
const gzipField = Buffer.from('HF');
const gzipTextAt = gzipHeader.length + 2 + gzipField.length + 2;

export function writeTrailer(trailer: Trailer, compression: 'zstd' | 'gzip'): Buffer {
  const text = JSON.stringify(trailer);
  const whole = Buffer.alloc(trailerBytes, ' ');
  switch (compression) {
    case 'zstd':
      whole.writeUInt32LE(zstdMagic, 0);
      whole.writeUInt32LE(trailerBytes - zstdHeaderBytes, 4);
      whole.write(text, zstdHeaderBytes);
      return whole;
    case 'gzip': {
      gzipHeader.copy(whole);
      const extra = trailerBytes - gzipHeader.length - 2 - gzipEmpty.length;
      whole.writeUInt16LE(extra, gzipHeader.length);
      gzipField.copy(whole, gzipHeader.length + 2);
      whole.writeUInt16LE(extra - gzipField.length - 2, gzipHeader.length + 4);
      whole.write(text, gzipTextAt);
      gzipEmpty.copy(whole, trailerBytes - gzipEmpty.length);
      return whole;
    }
  }
}

/** undefined for bytes that are no trailer, of which there have to be exactly as many as one has. */
export function parseTrailer(bytes: Uint8Array, compression: 'zstd' | 'gzip'): Trailer | undefined {
  if (bytes.length !== trailerBytes) return undefined;
  const whole = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const text = compression === 'zstd' ? zstdText(whole) : gzipText(whole);
  if (text === undefined) return undefined;
  try {
    return trailerSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

const zstdText = (whole: Buffer) =>
  whole.readUInt32LE(0) === zstdMagic && whole.readUInt32LE(4) === trailerBytes - zstdHeaderBytes
    ? whole.toString('utf8', zstdHeaderBytes)
    : undefined;

function gzipText(whole: Buffer): string | undefined {
  const end = trailerBytes - gzipEmpty.length;
  const isOurs =
    whole.subarray(0, gzipHeader.length).equals(gzipHeader) &&
    whole.subarray(gzipHeader.length + 2, gzipHeader.length + 4).equals(gzipField) &&
    whole.subarray(end).equals(gzipEmpty);
  return isOurs ? whole.toString('utf8', gzipTextAt, end) : undefined;
}
