import pg from 'pg';
import { until } from './waiting.ts';

/** Clients that connect, look which database they are in, and leave, for ever. */
export class Crowd {
  readonly refusals = new Set<string>();
  readonly #seen: string[][];
  readonly #loops: Promise<void>[];
  #stopped = false;

  constructor(url: string, size: number) {
    this.#seen = Array.from({ length: size }, () => []);
    this.#loops = this.#seen.map((seen) => this.#loop(url, seen));
  }

  async #loop(url: string, seen: string[]): Promise<void> {
    while (!this.#stopped) {
      const client = new pg.Client({ connectionString: url });
      client.on('error', () => undefined);
      try {
        await client.connect();
        const { rows } = await client.query<{ content: string }>('SELECT content FROM which');
        seen.push(rows[0]?.content ?? 'nothing');
      } catch (error) {
        const { code } = error as { code?: string };
        if (code !== undefined) this.refusals.add(code);
      } finally {
        await client.end().catch(() => undefined);
      }
    }
  }

  /** Each of them has seen it after this was called. */
  async haveAllSeen(content: string): Promise<void> {
    const marks = this.#seen.map((seen) => seen.length);
    await until(() => Promise.resolve(this.#seen.every((seen, index) => seen.slice(marks[index]).includes(content))));
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#loops);
  }

  /** What each saw, without repetitions. */
  changes(): string[][] {
    return this.#seen.map((seen) => seen.filter((content, index) => content !== seen[index - 1]));
  }
}
