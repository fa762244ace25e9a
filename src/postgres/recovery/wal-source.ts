/** Where recovery's WAL comes from: a repository's archive, or any directory of segments. */
export interface WalSource {
  /**
   * The plain bytes of a whole segment, verified (they may fail while they are read), or undefined where the archive
   * certainly has none of this name. Fails where it can't be known: a store that doesn't answer is no end of an archive.
   */
  segment(name: string, signal: AbortSignal): Promise<AsyncIterable<Uint8Array> | undefined>;
  /** The text of a timeline's history, or undefined where the archive certainly has none. Fails likewise. */
  history(timeline: number, signal: AbortSignal): Promise<string | undefined>;
}
