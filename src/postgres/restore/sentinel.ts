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

/**
 * @param nonce nobody who wrote the dump can know it
 * @param last a statement to be executed after everything else; with it all of the member is one transaction, which
 *   ends here and nowhere else: cut off anywhere, nothing of it stays
 */
export function sentinel(nonce: string, last?: string): Sentinel {
  const word = `holdfast ${nonce}`;
  // The line feed ends an unfinished line. The load ran with synchronous_commit off; one commit with an id of its own
  // and with it on makes everything before it durable.
  const durable = 'SET synchronous_commit = on;\nSELECT pg_catalog.pg_current_xact_id() IS NOT NULL;\n';
  const commit = last === undefined ? '' : `${last};\nCOMMIT;\n`;
  return { sql: `\n${durable}${commit}SELECT '${word}';\n`, word };
}

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
