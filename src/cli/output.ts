import type { Reported } from './command-error.ts';
import { clipped, render, styled, visibleJson, widthOf, type Span } from './spans.ts';

/** The part of a stream that is written to. */
export interface Sink {
  write(text: string): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
}

export interface OutputOptions {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly json: boolean;
  /** NO_COLOR is set, or --no-color was given. */
  readonly plain: boolean;
}

export type Row = readonly (Span | readonly Span[])[];

/**
 * Where a command's words go. With --json exactly one document is written to stdout and everything else is silent;
 * without it, text. Nothing reaches a terminal that `visible` hasn't seen.
 */
export class Output {
  readonly json: boolean;
  /** Somebody watches: a live line makes sense, and waiting for a person does. */
  readonly terminal: boolean;
  readonly #options: OutputOptions;
  #live = false;

  constructor(options: OutputOptions) {
    this.#options = options;
    this.json = options.json;
    this.terminal = !options.json && options.stdout.isTTY === true;
  }

  line(...spans: readonly Span[]): void {
    if (this.json) return;
    this.live(null);
    this.#write(this.#options.stdout, spans);
  }

  /** Lines of text that was broken on purpose. */
  block(text: string, indent = ''): void {
    for (const line of text.split('\n')) this.line(line === '' ? '' : `${indent}${line}`);
  }

  /** Columns as wide as their widest cell. The first row is the head. */
  table(head: readonly string[], rows: readonly Row[], indent = ''): void {
    const cells = [head.map((title) => [styled('dim', title)]), ...rows.map((row) => row.map(asSpans))];
    const widths = head.map((_, column) => Math.max(...cells.map((row) => widthOf(row[column] ?? []))));
    for (const row of cells) {
      const spans = row.flatMap((cell, column) => {
        const last = column === row.length - 1;
        return last ? cell : [...cell, ' '.repeat((widths[column] ?? 0) - widthOf(cell) + 2)];
      });
      this.line(indent, ...spans);
    }
  }

  /** The command's result for programs; silent without --json. */
  document(value: unknown): void {
    if (this.json) this.#options.stdout.write(`${visibleJson(value)}\n`);
  }

  /** A line to know, on stderr. */
  warn(...spans: readonly Span[]): void {
    if (this.json) return;
    this.live(null);
    this.#write(this.#options.stderr, [styled('yellow', 'note: '), ...spans]);
  }

  /** A line at the bottom of a terminal that the next one replaces; null takes it away. Silent anywhere else. */
  live(spans: readonly Span[] | null): void {
    if (!this.terminal || (spans === null && !this.#live)) return;
    const { stdout } = this.#options;
    const text = spans === null ? '' : render(clipped(spans, (stdout.columns ?? 80) - 1), this.#colour(stdout));
    stdout.write(`\r\u001b[2K${text}`);
    this.#live = spans !== null;
  }

  /** Two lines on stderr, or one JSON document there. */
  error({ type, message, hint }: Pick<Reported, 'type' | 'message' | 'hint'>): void {
    const { stderr } = this.#options;
    if (this.json) {
      stderr.write(`${visibleJson({ error: { type, message, hint } })}\n`);
      return;
    }
    this.live(null);
    const [first = '', ...rest] = message.split('\n');
    this.#write(stderr, [styled('red', 'holdfast: '), first]);
    // Deeper than the hint, so that no message can be taken for one.
    for (const line of rest) this.#write(stderr, [`    ${line.trimStart()}`]);
    this.#write(stderr, [styled('dim', '  hint: '), hint.replaceAll('\n', ' ')]);
  }

  #write(sink: Sink, spans: readonly Span[]): void {
    sink.write(`${render(spans, this.#colour(sink)).trimEnd()}\n`);
  }

  #colour = (sink: Sink) => sink.isTTY === true && !this.#options.plain;
}

function asSpans(cell: Span | readonly Span[]): readonly Span[] {
  return typeof cell === 'string' || 'style' in cell ? [cell] : cell;
}
