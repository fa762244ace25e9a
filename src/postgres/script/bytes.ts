/** What a byte may begin or be part of, for PostgreSQL's scanner and for psql's. */
export const kindOfByte = Object.freeze({
  other: 0,
  space: 1,
  /** Letters, the underscore, and every byte of a character beyond ASCII. */
  word: 2,
  digit: 3,
  quote: 4,
  doubleQuote: 5,
  dollar: 6,
  dash: 7,
  slash: 8,
  semicolon: 9,
  open: 10,
  close: 11,
  backslash: 12,
  colon: 13,
});

const kindsOfBytes = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte);
  if (byte >= 0x80 || /[A-Za-z_]/.test(character)) return kindOfByte.word;
  if (/[0-9]/.test(character)) return kindOfByte.digit;
  // The vertical tab is white space for newer versions only: nothing that pg_dump writes has one outside quotes.
  if (/[ \t\n\r\f]/.test(character)) return kindOfByte.space;
  const special: Readonly<Record<string, number>> = {
    ...{ "'": kindOfByte.quote, '"': kindOfByte.doubleQuote, $: kindOfByte.dollar, '-': kindOfByte.dash },
    ...{ '/': kindOfByte.slash, ';': kindOfByte.semicolon, '(': kindOfByte.open, ')': kindOfByte.close },
    ...{ '\\': kindOfByte.backslash, ':': kindOfByte.colon },
  };
  return special[character] ?? kindOfByte.other;
});

export const feed = 0x0a;
export const carriageReturn = 0x0d;

export const kindAt = (bytes: Uint8Array, at: number): number => kindsOfBytes[bytes[at] ?? 0] ?? 0;

/** Line feeds in [from, to). */
export function countFeeds(bytes: Uint8Array, from: number, to: number): number {
  let count = 0;
  for (let at = bytes.indexOf(feed, from); at !== -1 && at < to; at = bytes.indexOf(feed, at + 1)) count += 1;
  return count;
}
