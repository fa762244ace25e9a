/** Tells what happens while it happens, with times. */
import { messageOf } from '../src/domain/errors.ts';

interface Told {
  readonly what: string;
  readonly seconds: number;
}

export class Story {
  readonly #begin = performance.now();
  readonly #told: Told[] = [];

  async step<T>(what: string, run: () => Promise<T>, outcome: (result: T) => string = () => ''): Promise<T> {
    const begin = performance.now();
    const result = await run();
    const seconds = (performance.now() - begin) / 1000;
    this.#told.push({ what, seconds });
    const came = outcome(result);
    console.log(`${seconds.toFixed(1).padStart(6)} s  ${what}${came === '' ? '' : `: ${came}`}`);
    return result;
  }

  say(text: string): void {
    console.log(`          ${text}`);
  }

  quote(text: string): void {
    for (const line of text.trimEnd().split('\n')) console.log(`        | ${line}`);
  }

  failed(error: unknown): void {
    const last = this.#told.at(-1);
    console.error(`\nThe demo failed${last ? ` after «${last.what}»` : ''}: ${messageOf(error)}${causes(error)}`);
  }

  summary(): void {
    const total = (performance.now() - this.#begin) / 1000;
    const slowest = this.#told.toSorted((a, b) => b.seconds - a.seconds).slice(0, 3);
    console.log(
      `\nDone in ${total.toFixed(0)} s. Longest: ${slowest.map(({ what, seconds }) => `${what} (${seconds.toFixed(1)} s)`).join('; ')}.`,
    );
  }
}

function causes(error: unknown): string {
  const texts: string[] = [];
  for (let cause = error instanceof Error ? error.cause : undefined; cause instanceof Error; cause = cause.cause)
    texts.push(messageOf(cause));
  return texts.map((text) => `\n  because: ${text}`).join('');
}
