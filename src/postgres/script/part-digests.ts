import { createHash, type Hash } from 'node:crypto';

export interface DigestedPart {
  readonly offset: number;
  readonly length: number;
  readonly sha256: string;
}

/** Digests of a stream and of consecutive parts of it, whose beginnings are found out some time after their bytes. */
export class PartDigests {
  readonly #whole = createHash('sha256');
  #part: Hash = createHash('sha256');
  #partOffset = 0;
  /** Up to here the parts are digested. */
  #digested = 0;
  #waiting: { readonly offset: number; readonly bytes: Uint8Array }[] = [];
  #length = 0;
  readonly parts: DigestedPart[] = [];

  update(bytes: Uint8Array): void {
    this.#whole.update(bytes);
    this.#waiting.push({ offset: this.#length, bytes });
    this.#length += bytes.length;
  }

  get length(): number {
    return this.#length;
  }

  /** No part will begin before this offset any more. */
  settle(offset: number): void {
    while (this.#digested < offset) {
      const [first] = this.#waiting;
      if (first === undefined) return;
      const end = Math.min(offset, first.offset + first.bytes.length);
      this.#part.update(first.bytes.subarray(this.#digested - first.offset, end - first.offset));
      this.#digested = end;
      if (end === first.offset + first.bytes.length) this.#waiting.shift();
    }
  }

  /** The part that ends here is whole; the next one begins. Offsets rise. */
  cut(offset: number): void {
    this.settle(offset);
    this.parts.push({
      offset: this.#partOffset,
      length: offset - this.#partOffset,
      sha256: this.#part.digest('hex'),
    });
    this.#part = createHash('sha256');
    this.#partOffset = offset;
  }

  end(): { readonly length: number; readonly sha256: string } {
    this.cut(this.#length);
    return { length: this.#length, sha256: this.#whole.digest('hex') };
  }
}
