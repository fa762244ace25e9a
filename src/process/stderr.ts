/** Longest line that is handed on; the rest of a longer one is dropped. In UTF-16 units. */
const maxLine = 65_536;
/** How much of the beginning and of the end is kept, each. In UTF-16 units. */
const keep = 4_096;

const mask = '***';

/** A function that takes every given value, also as it stands in a URL, out of a text. */
export function redactor(secrets: readonly string[] = []): (text: string) => string {
  const pieces = secrets.flatMap((secret) => secret.split(/\r?\n/)).filter((piece) => piece !== '');
  // The longest first: a secret may be part of another.
  const values = [...new Set(pieces.flatMap((piece) => [piece, encodeURIComponent(piece)]))].sort(
    (a, b) => b.length - a.length,
  );
  return (text) => values.reduce((clean, value) => clean.replaceAll(value, mask), text);
}

/**
 * Takes what a tool says on stderr, line by line. Holds a bounded amount however much comes; everything that
 * leaves it is redacted.
 */
export class StderrKeeper {
  readonly #redact: (text: string) => string;
  readonly #onLine: ((line: string) => void) | undefined;
  /** A secret that begins before the cut must be seen whole, or its first half would stay. */
  readonly #window: number;
  #line = '';
  #head = '';
  #tail = '';
  #dropped = 0;
  #lastLine = '';

  constructor(secrets: readonly string[] = [], onLine?: (line: string) => void) {
    this.#redact = redactor(secrets);
    this.#onLine = onLine;
    this.#window = maxLine + 3 * Math.max(0, ...secrets.map((secret) => secret.length));
  }

  push(text: string): void {
    let from = this.#onLine === undefined ? this.#skip(text) : 0;
    for (let end = text.indexOf('\n', from); end !== -1; end = text.indexOf('\n', from)) {
      this.#extend(text.slice(from, end));
      this.#endLine();
      from = end + 1;
    }
    this.#extend(text.slice(from));
  }

  /** Hands on a last line that had no line feed. */
  end(): void {
    if (this.#line !== '') this.#endLine();
  }

  /** First and last kilobytes, with a note of what is missing between them. */
  get text(): string {
    const tail = this.#tail.slice(-keep);
    const dropped = this.#dropped + this.#tail.length - tail.length;
    if (dropped === 0) return (this.#head + tail).trimEnd();
    return `${this.#head}\n[... ${String(dropped)} characters left out ...]\n${tail}`.trimEnd();
  }

  /** The last line that isn't blank, cut to some kilobytes. */
  get lastLine(): string {
    return this.#lastLine.length > keep ? `${this.#lastLine.slice(0, keep)}...` : this.#lastLine;
  }

  /** Where nobody asked for every line, a flood is read only at its ends. Returns where to go on in the text. */
  #skip(text: string): number {
    if (this.#head.length < keep || text.length < 2 * keep) return 0;
    const end = text.indexOf('\n', text.length - 2 * keep);
    if (end === -1) return 0;
    this.#dropped += this.#line.length + end + 1;
    this.#line = '';
    return end + 1;
  }

  #extend(piece: string): void {
    const room = this.#window - this.#line.length;
    if (room > 0) this.#line += piece.length > room ? piece.slice(0, room) : piece;
  }

  #endLine(): void {
    const line = this.#redact(this.#line.endsWith('\r') ? this.#line.slice(0, -1) : this.#line).slice(0, maxLine);
    this.#line = '';
    if (line.trim() !== '') this.#lastLine = line;
    this.#store(`${line}\n`);
    this.#onLine?.(line);
  }

  #store(text: string): void {
    const room = keep - this.#head.length;
    if (room > 0) this.#head += text.slice(0, room);
    this.#tail += room > 0 ? text.slice(room) : text;
    if (this.#tail.length < 4 * keep) return;
    this.#dropped += this.#tail.length - keep;
    this.#tail = this.#tail.slice(-keep);
  }
}
