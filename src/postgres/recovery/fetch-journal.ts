import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { digestOf } from '../../domain/canonical.ts';
import type { BaseManifest } from '../../domain/base-manifest.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { readIfThere, writeLasting } from '../instance/mark.ts';

/** How far a fetch has come, in the recovery's own directory: written only after what it tells of is lasting. */
const journalSchema = z.object({
  version: z.literal(1),
  /** Digest of what is fetched and where to. */
  fetch: z.string(),
  dataDirectory: z.string(),
  tablespaces: z.record(z.string(), z.string()),
  /** Archives that are whole, as "<backup>/<archive's key>". */
  archives: z.array(z.string()),
  /** combining: the final directory may hold anything. whole: nothing is left to do. */
  step: z.enum(['fetching', 'combining', 'whole']),
});

export type FetchJournal = Readonly<z.infer<typeof journalSchema>>;

const journalFile = 'fetch.json';

/** The same for the same backups into the same places only. */
export const fetchDigest = (
  chain: readonly BaseManifest[],
  dataDirectory: string,
  tablespaces: Readonly<Record<string, string>>,
) => digestOf({ archives: chain.map(({ id, objects }) => ({ id, objects })), dataDirectory, tablespaces });

export async function readJournal(workDirectory: string): Promise<FetchJournal | undefined> {
  const path = join(workDirectory, journalFile);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return journalSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new HoldfastError(
      'Unexpected',
      `${path} is not what a worker writes`,
      'choose a new directory for the recovery, and remove this one by hand',
      { cause },
    );
  }
}

export async function writeJournal(workDirectory: string, journal: FetchJournal): Promise<void> {
  await mkdir(workDirectory, { recursive: true, mode: 0o700 });
  await writeLasting(join(workDirectory, journalFile), `${JSON.stringify(journal, null, 2)}\n`);
}
