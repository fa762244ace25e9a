import { readdirSync, readFileSync } from 'node:fs';

/** Process ids of everything whose arguments hold a text that only this test knows, zombies left out. */
export function processesWith(canary: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(canary);
      } catch {
        return false;
      }
    })
    .map(Number);
}

/** Looks again and again until it holds: no test depends on how long that takes, only on that it happens. */
export async function until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 240_000;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`waited in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
