/** Writes docs/cli.md from what the commands say of themselves. `--check` only says whether it is up to date. */
import { readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { referenceOf } from './reference/render.ts';

const file = fileURLToPath(new URL('../docs/cli.md', import.meta.url));
const text = referenceOf();
if (process.argv.includes('--check')) {
  if (readFileSync(file, 'utf8') !== text) {
    console.error(`${file} is not up to date. Type: npx tsx scripts/cli-reference.ts`);
    process.exitCode = 1;
  }
} else {
  writeFileSync(file, text);
  console.log(`wrote ${file}`);
}
