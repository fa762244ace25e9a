import { createInterface } from 'node:readline';
import type { Context } from './context.ts';

/** Whether a person sits at both ends: one who reads the question and one who types. */
export const canAsk = ({ stdin, stdout }: Context): boolean => stdin.isTTY === true && stdout.isTTY === true;

/** What was typed, without the blanks around it; undefined when the terminal was closed or Ctrl-C typed. */
export async function ask({ stdin, stdout }: Context, question: string): Promise<string | undefined> {
  stdout.write(question);
  const reader = createInterface({ input: stdin });
  try {
    return await new Promise((resolve) => {
      reader.once('line', (line) => {
        resolve(line.trim());
      });
      reader.once('close', () => {
        resolve(undefined);
      });
    });
  } finally {
    reader.close();
  }
}
