import { expect } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import process from 'node:process';

/**
 * Compares a text with the file `golden/<name>` beside the test, byte for byte. `UPDATE_GOLDEN=1` writes the file
 * instead: look at the difference before you commit it.
 * @param test the test's import.meta.url
 */
export function expectGolden(test: string, name: string, text: string): void {
  const file = new URL(`golden/${name}`, test);
  const whole = text.endsWith('\n') ? text : `${text}\n`;
  if (process.env['UPDATE_GOLDEN'] === '1') {
    mkdirSync(new URL('.', file), { recursive: true });
    writeFileSync(file, whole);
  }
  expect(whole).toBe(readFileSync(file, 'utf8'));
}
