import { isAscii } from 'node:buffer';

/**
 * Client encodings. In those that no database can have (SJIS, BIG5, GBK, UHC, GB18030, JOHAB, SHIFT_JIS_2004) a byte
 * that looks like a backslash may be half of a character, and psql reads it so. These are never let through: whatever
 * isn't known here isn't either.
 */

/** By the name without anything but letters and digits, as PostgreSQL compares them; the value is Node's name for it. */
const serverSafe: ReadonlyMap<string, string> = new Map([
  ...['utf8', 'unicode', 'sqlascii'].map((name) => [name, 'utf-8'] as const),
  ...['latin1', 'iso88591'].map((name) => [name, 'latin1'] as const),
  ...['latin2', 'iso88592'].map((name) => [name, 'iso-8859-2'] as const),
  ...['latin3', 'iso88593'].map((name) => [name, 'iso-8859-3'] as const),
  ...['latin4', 'iso88594'].map((name) => [name, 'iso-8859-4'] as const),
  // ISO 8859-9, whose letters are those of Windows 1254.
  ...['latin5', 'iso88599', 'win1254', 'windows1254'].map((name) => [name, 'windows-1254'] as const),
  ...['latin6', 'iso885910'].map((name) => [name, 'iso-8859-10'] as const),
  ...['latin7', 'iso885913'].map((name) => [name, 'iso-8859-13'] as const),
  ...['latin8', 'iso885914'].map((name) => [name, 'iso-8859-14'] as const),
  ...['latin9', 'iso885915'].map((name) => [name, 'iso-8859-15'] as const),
  ...['latin10', 'iso885916'].map((name) => [name, 'iso-8859-16'] as const),
  ...['5', '6', '7', '8'].map((part) => [`iso8859${part}`, `iso-8859-${part}`] as const),
  ...['1250', '1251', '1252', '1253', '1255', '1256', '1257', '1258'].flatMap((page) => [
    [`win${page}`, `windows-${page}`] as const,
    [`windows${page}`, `windows-${page}`] as const,
  ]),
  ...['win', 'win1251'].map((name) => [name, 'windows-1251'] as const),
  ...['abc', 'tcvn', 'tcvn5712', 'vscii'].map((name) => [name, 'windows-1258'] as const),
  ...['alt', 'win866', 'windows866'].map((name) => [name, 'ibm866'] as const),
  ...['win874', 'windows874'].map((name) => [name, 'windows-874'] as const),
  ...['koi8', 'koi8r'].map((name) => [name, 'koi8-r'] as const),
  ['koi8u', 'koi8-u'],
  ...['eucjp', 'eucjis2004'].map((name) => [name, 'euc-jp'] as const),
  ['euckr', 'euc-kr'],
  ['euccn', 'gbk'],
  // Node has no table for these; names beyond ASCII are shown as they stand.
  ...['euctw', 'muleinternal'].map((name) => [name, 'latin1'] as const),
]);

const plainName = (encoding: string) => encoding.toLowerCase().replace(/[^a-z0-9]/g, '');

/** Whether psql, in this client encoding, takes every byte for what it looks like. */
export const isSafeEncoding = (encoding: string) =>
  /^[A-Za-z0-9_-]+$/.test(encoding) && serverSafe.has(plainName(encoding));

const decoders = new Map<string, InstanceType<typeof TextDecoder>>();

function decoderOf(label: string) {
  const known = decoders.get(label) ?? new TextDecoder(label, { fatal: true, ignoreBOM: true });
  decoders.set(label, known);
  return known;
}

/** Text of a dump in its client encoding; what isn't valid in it is shown byte by byte. */
export function decodeText(bytes: Uint8Array, encoding: string): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (isAscii(buffer)) return buffer.toString('latin1');
  const label = serverSafe.get(plainName(encoding)) ?? 'utf-8';
  if (label === 'latin1') return buffer.toString('latin1');
  try {
    return decoderOf(label).decode(buffer);
  } catch {
    return buffer.toString('latin1');
  }
}
