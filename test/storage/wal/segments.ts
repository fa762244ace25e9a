/** Segments as PostgreSQL begins them, with noise behind. */
import { randomFillSync } from 'node:crypto';
import { segmentStart } from '../../../src/domain/wal.ts';
import { findTool } from '../../../src/process/environment.ts';
import type { Repository } from '../../../src/storage/repository.ts';
import { WalArchiveStore, type WalArchiveWishes } from '../../../src/storage/wal/archive.ts';
import { findCompressors } from '../../../src/streams/compress.ts';

export const mebibyte = 1024 * 1024;
export const cluster = 'infra';
export const systemIdentifier = '7412345678901234567';
export const never = new AbortController().signal;

export const compressors = () => findCompressors(findTool, never);

export interface SegmentWishes {
  readonly timeline?: number;
  readonly segmentBytes?: number;
  readonly systemIdentifier?: string;
}

export function makeSegment(number: bigint, wishes: SegmentWishes = {}): Buffer {
  const { timeline = 1, segmentBytes = mebibyte } = wishes;
  const bytes = Buffer.alloc(segmentBytes);
  bytes.writeUInt16LE(0xd116, 0);
  bytes.writeUInt16LE(2, 2);
  bytes.writeUInt32LE(timeline, 4);
  bytes.writeBigUInt64LE(segmentStart(number, segmentBytes), 8);
  bytes.writeBigUInt64LE(BigInt(wishes.systemIdentifier ?? systemIdentifier), 24);
  bytes.writeUInt32LE(segmentBytes, 32);
  bytes.writeUInt32LE(8192, 36);
  randomFillSync(bytes, 8192, 65_536);
  return bytes;
}

export async function openStore(
  repository: Repository,
  more: Partial<WalArchiveWishes> = {},
): Promise<WalArchiveStore> {
  const found = await compressors();
  return new WalArchiveStore({
    repository,
    cluster,
    systemIdentifier,
    segmentBytes: mebibyte,
    compressors: found,
    run: 'test',
    ...more,
  });
}

export const put = (store: WalArchiveStore, number: bigint, body: Uint8Array, timeline = 1) =>
  store.write({ timeline, number, body, endedAt: () => new Date('2026-11-21T02:00:00Z') }, { signal: never });

export async function gather(body: AsyncIterable<Uint8Array> | undefined): Promise<Buffer | undefined> {
  if (body === undefined) return undefined;
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}
