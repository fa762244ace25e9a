import { readFileSync } from 'node:fs';
import { z } from 'zod';

/** From package.json, which lies two levels up from src/worker and from dist/worker alike. */
export const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')));
