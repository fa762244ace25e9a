import { formatLsn, type Lsn } from './wal.ts';

/** How many bytes of a segment tell whose it is: XLogLongPageHeaderData (xlog_internal.h). */
export const firstPageBytes = 40;

/** What the first page of a segment says of itself. */
export interface FirstPage {
  /** Tells the format, and so the major version: 0xD110 is PostgreSQL 15's, 0xD116 17's. */
  readonly magic: number;
  /**
   * The timeline that wrote the page. The first segment of a timeline that was left a place in the middle begins with
   * pages of the timeline before it.
   */
  readonly timeline: number;
  /** Where the page, and so the segment, begins. */
  readonly start: Lsn;
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
}

/** xlp_info: the page has the long header, which every segment begins with. */
const longHeader = 0x0002;

/** undefined where the bytes are too few or begin no segment. Reads what machines of either byte order wrote. */
function readFirstPage(bytes: Uint8Array): FirstPage | undefined {
  if (bytes.length < firstPageBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, firstPageBytes);
  const little = view.getUint8(1) === 0xd1;
  if (!little && view.getUint8(0) !== 0xd1) return undefined;
  if ((view.getUint16(2, little) & longHeader) === 0) return undefined;
  return {
    magic: view.getUint16(0, little),
    timeline: view.getUint32(4, little),
    start: view.getBigUint64(8, little),
    systemIdentifier: view.getBigUint64(24, little).toString(),
    segmentBytes: view.getUint32(32, little),
  };
}

export interface ExpectedSegment {
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly start: Lsn;
  readonly segmentBytes: number;
}

/** What tells that the bytes don't begin the segment they should, in words that follow its name; undefined if nothing. */
export function firstPageFault(bytes: Uint8Array, expected: ExpectedSegment): string | undefined {
  const found = readFirstPage(bytes);
  if (found === undefined) return 'does not begin as a WAL segment does';
  if (found.systemIdentifier !== expected.systemIdentifier)
    return `is of another cluster: system identifier ${found.systemIdentifier} instead of ${expected.systemIdentifier}`;
  if (found.segmentBytes !== expected.segmentBytes)
    return `is of segments of ${String(found.segmentBytes)} bytes instead of ${String(expected.segmentBytes)}`;
  if (found.start !== expected.start)
    return `holds another segment: it begins at ${formatLsn(found.start)} instead of ${formatLsn(expected.start)}`;
  // Pages that were copied from the timeline before keep its number.
  if (found.timeline === 0 || found.timeline > expected.timeline)
    return `is of timeline ${String(found.timeline)} instead of ${String(expected.timeline)}`;
  return undefined;
}
