/** Telling what set-up does and how long it takes. */
import process from 'node:process';

/**
 * Does one step: says so, shows that it goes on (a clock on a terminal, else a line every ten seconds),
 * and says how long it took. What the step returns, if anything, is added to the closing line.
 */
export async function step(title, work) {
  const begin = performance.now();
  const seconds = () => ((performance.now() - begin) / 1000).toFixed(1);
  const { isTTY } = process.stdout;
  process.stdout.write(isTTY ? `  ${title} …` : `  ${title} …\n`);
  const clock = setInterval(
    () => process.stdout.write(isTTY ? `\r\x1b[K  ${title} … ${seconds()} s` : `  ${title} … ${seconds()} s\n`),
    isTTY ? 500 : 10_000,
  );
  const close = (verdict) => process.stdout.write(`${isTTY ? '\r\x1b[K' : ''}  ${title}: ${verdict}\n`);
  try {
    const outcome = await work();
    close(`done in ${seconds()} s${outcome ? `, ${outcome}` : ''}`);
  } catch (error) {
    close(`failed after ${seconds()} s`);
    throw error;
  } finally {
    clearInterval(clock);
  }
}

export function say(line) {
  process.stdout.write(`  ${line}\n`);
}
