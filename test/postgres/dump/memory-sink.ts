import type { DumpPart, DumpSink } from '../../../src/postgres/dump/write.ts';

/** A sink that keeps what is written, as a repository's stage does. */
export interface MemorySink extends DumpSink {
  readonly bytes: Buffer;
  slice(part: Pick<DumpPart, 'offset' | 'length'>): Buffer;
}

/** @param onWrite called before each write; may throw as a full disk would */
export function memorySink(onWrite: (offset: number) => void = () => undefined): MemorySink {
  let chunks: Buffer[] = [];
  let offset = 0;
  let marked = 0;
  const all = () => Buffer.concat(chunks);
  return {
    get bytes() {
      return all();
    },
    get offset() {
      return offset;
    },
    async write(chunk) {
      await Promise.resolve();
      onWrite(offset);
      chunks.push(Buffer.from(chunk));
      offset += chunk.length;
    },
    mark() {
      marked = offset;
    },
    async rollback() {
      await Promise.resolve();
      chunks = [all().subarray(0, marked)];
      offset = marked;
    },
    slice: ({ offset: from, length }) => all().subarray(from, from + length),
  };
}
