import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../../domain/errors.ts';
import type { RecoveryTarget } from '../../domain/recovery-target.ts';
import { readIfThere, writeLasting } from '../instance/mark.ts';

const place = z.object({
  lsn: z.string(),
  timeline: z.number().int(),
  lastTransactionTime: z.string().nullable(),
  stoppedBy: z.enum(['target', 'archive']),
});

/** How far a recovery has come, in its own directory; written before each step that it tells of. */
const stateSchema = z.object({
  version: z.literal(1),
  target: z.custom<RecoveryTarget>((value) => typeof value === 'object' && value !== null && 'kind' in value),
  /** The target wasn't in the archive: it replays to the end as a standby. */
  asStandby: z.boolean(),
  stage: z.enum(['recovering', 'reached', 'promoting', 'promoted']),
  /** Where it stands, or stood before it went on. */
  reached: place.nullable(),
});

export type RecoveryState = Readonly<z.infer<typeof stateSchema>>;

const stateFile = 'recovery.json';

export async function readState(workDirectory: string): Promise<RecoveryState | undefined> {
  const path = join(workDirectory, stateFile);
  const text = await readIfThere(path);
  if (text === undefined) return undefined;
  try {
    return stateSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new HoldfastError(
      'Unexpected',
      `${path} is not what a worker writes`,
      'throw the recovery away and begin again',
      { cause },
    );
  }
}

export const writeState = (workDirectory: string, state: RecoveryState) =>
  writeLasting(join(workDirectory, stateFile), `${JSON.stringify(state, null, 2)}\n`);
