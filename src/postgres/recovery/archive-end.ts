import type { WalAnswer } from './serve-wal.ts';

/**
 * Listens to what a standby asks for. When it asks again for the same segment beyond the archive's end, and for nothing
 * between, it has replayed everything before: it asks only once it has run out.
 */
export class ArchiveEnd {
  #name = '';
  #times = 0;

  readonly hear = ({ name, kind }: WalAnswer): void => {
    if (kind === 'absent') return;
    if (kind === 'served') this.#times = 0;
    else if (name === this.#name) this.#times += 1;
    else this.#times = 1;
    this.#name = name;
  };

  /** What is asked for from now on counts. */
  forget(): void {
    this.#times = 0;
  }

  /** How often the same segment beyond the end was asked for, without another in between. */
  get times(): number {
    return this.#times;
  }

  get name(): string {
    return this.#name;
  }
}
