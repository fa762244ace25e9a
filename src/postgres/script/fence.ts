import type { Command } from './meta.ts';

/** Between `\restrict KEY` and `\unrestrict KEY` a script has no other psql command: pg_dump's fences. */
export class Fence {
  #key: string | null = null;

  get open(): boolean {
    return this.#key !== null;
  }

  /** What is wrong with the command where it stands; null: nothing. */
  pass(command: Command): string | null {
    switch (command.kind) {
      case 'other':
        return `the psql command ${command.word}`;
      case 'restrict':
        if (this.#key !== null) return 'a \\restrict inside a fence';
        this.#key = command.key;
        return null;
      case 'unrestrict':
        if (this.#key === null) return 'an \\unrestrict without a \\restrict';
        if (this.#key !== command.key) return 'an \\unrestrict with another key';
        this.#key = null;
        return null;
      case 'connect':
      case 'encoding':
        return this.#key === null ? null : `the psql command \\${command.kind} inside a fence`;
    }
  }
}
