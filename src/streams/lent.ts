export interface Lending {
  /**
   * A chunk is valid only until the next one is asked for, so that two buffers do for all of them: where there is much
   * to read, memory of each one's own keeps Node's garbage collector busy. Else chunks are the caller's to keep.
   */
  readonly lent?: boolean;
}

/** Of two buffers the one that has rested: while the caller has one, the other one is filled. */
export function inTurn(bytes: number): () => Buffer {
  let [next, other] = [Buffer.allocUnsafeSlow(bytes), Buffer.allocUnsafeSlow(bytes)];
  return () => {
    [next, other] = [other, next];
    return other;
  };
}
