/**
 * What is put behind a content member so that psql itself says that it got to the end: a dump that stops early, however
 * every tool in between exits, leaves psql inside a statement, a quote or COPY data, or never shows it this.
 */
export interface Sentinel {
  /** SQL, to be appended to the member's plain text. */
  readonly sql: string;
  /** The last line that psql writes to stdout when it has executed all of it. */
  readonly word: string;
}

export const guardName = 'holdfast_all_or_nothing';

/**
 * What begins a load that is to be one transaction. A dump of large objects has COMMITs of its own, which would end it
 * half-way: a unique constraint that is violated until the end, and checked at any commit, makes them fail.
 */
export const oneTransaction: readonly string[] = [
  'BEGIN',
  `CREATE TEMPORARY TABLE ${guardName} (it int UNIQUE DEFERRABLE INITIALLY DEFERRED)`,
  `INSERT INTO pg_temp.${guardName} VALUES (1), (1)`,
];

/**
 * @param nonce nobody who wrote the dump can know it
 * @param last a statement to be executed after everything else; with it all of the member is one transaction, which
 *   ends here and nowhere else: cut off anywhere, nothing of it stays
 */
export function sentinel(nonce: string, last?: string): Sentinel {
  const word = `holdfast ${nonce}`;
  const commit = last === undefined ? '' : `${last};\nDELETE FROM pg_temp.${guardName};\nCOMMIT;\n`;
  // The line feed ends an unfinished line. The load ran with synchronous_commit off; a commit that writes something of
  // its own, with it on, makes everything before it durable.
  const durable = `SET synchronous_commit = on;\nSELECT pg_catalog.pg_logical_emit_message(true, 'holdfast', 'loaded');\n`;
  return { sql: `\n${commit}${durable}SELECT '${word}';\n`, word };
}

export const fenceText = 'another database bears the name now';

/** Fails in the very session that loads, unless it is in the database that is meant. */
export const fence = (oid: number) =>
  `SELECT (CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()
     AND oid = ${String(oid)}) THEN '1' ELSE '${fenceText}' END)::pg_catalog.int4`;

/** Keeps the end of what psql writes. */
export class Tail {
  #text = '';

  push(chunk: Uint8Array): void {
    this.#text = (this.#text + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.length).toString('latin1')).slice(
      -1_000,
    );
  }

  endsWith(word: string): boolean {
    return this.#text.trimEnd().split('\n').at(-1) === word;
  }
}
