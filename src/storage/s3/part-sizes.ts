const mebibyte = 1024 * 1024;

/** S3 takes nothing smaller than 5 MiB but as the last part; fewer requests are kinder, and 8 MiB are nothing to hold. */
const smallestPart = 8 * mebibyte;
/** What parts grow to when a guess was too small: four of them are held. */
const grownPart = 128 * mebibyte;
/** S3's limit. */
const largestPart = 5 * 1024 * mebibyte;

export interface PartWishes {
  readonly maxParts: number;
  /** In bytes: every part but the last has this size, however many bytes come. null: as it fits. */
  readonly partSize: number | null;
  readonly expectedBytes: number | undefined;
}

/**
 * The size of the part with a number, counted from 1; undefined where there may not be one of that number. Parts have
 * one size, as some stores demand, such that the expected bytes take half of the parts; after that they grow, so that a
 * wrong expectation ends no upload.
 */
export function partSize(
  number: number,
  { maxParts, partSize: fixed, expectedBytes = 0 }: PartWishes,
): number | undefined {
  if (number > maxParts) return undefined;
  if (fixed !== null) return fixed;
  const half = Math.floor(maxParts / 2);
  const even = Math.max(smallestPart, Math.ceil(expectedBytes / half / mebibyte) * mebibyte);
  const doublings = Math.max(0, Math.ceil((number - half) / (maxParts / 16)));
  return Math.min(largestPart, Math.max(even, Math.min(even * 2 ** doublings, grownPart)));
}
