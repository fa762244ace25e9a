import { HoldfastError } from '../../domain/errors.ts';
import { capture } from '../../process/chain.ts';
import { commandAs, type RunAs } from '../instance/run-as.ts';
import type { ServerPrograms } from '../server-programs.ts';
import type { TablespaceMapping } from './tablespaces.ts';

export interface CombineInput {
  readonly programs: ServerPrograms;
  /** Oldest first. */
  readonly places: readonly { readonly directory: string; readonly tablespaces: TablespaceMapping }[];
  /** Empty, or not there. */
  readonly dataDirectory: string;
  readonly tablespaces: TablespaceMapping;
  readonly owner: RunAs | undefined;
  readonly signal: AbortSignal;
}

/**
 * Puts a full backup and its increments together into a data directory, by pg_combinebackup, which proves that they
 * belong together. Nothing is synced. Fails with RestoreFailed in the program's own words; the final directory then
 * holds anything.
 */
export async function combineChain(input: CombineInput): Promise<void> {
  const { programs, places, dataDirectory, tablespaces, owner, signal } = input;
  const last = places.at(-1);
  const mappings = Object.entries(last?.tablespaces ?? {}).map(
    ([oid, from]) => `--tablespace-mapping=${escaped(from)}=${escaped(tablespaces[oid] ?? '')}`,
  );
  const args = [...places.map(({ directory }) => directory), '-o', dataDirectory, '--no-sync', ...mappings];
  const command = { file: programs.pgCombinebackup ?? 'pg_combinebackup', args, name: 'pg_combinebackup' };
  try {
    await capture(commandAs(command, owner), { signal });
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'ToolFailed') throw error;
    throw new HoldfastError(
      'RestoreFailed',
      `the increments can't be put together: ${error.message}`,
      'restore from the full backup, or from another chain',
      { cause: error },
    );
  }
}

/** Its syntax is OLD=NEW, an equals sign in a name escaped by a backslash. */
const escaped = (path: string) => path.replaceAll('\\', '\\\\').replaceAll('=', '\\=');
