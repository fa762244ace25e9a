import { HoldfastError } from '../domain/errors.ts';
import type { RepositorySpec } from '../domain/specs.ts';
import type { RunRecord } from '../domain/run.ts';
import type { Dependencies } from './dependencies.ts';
import type { Working } from './working.ts';

export interface RecordInput {
  readonly repository: RepositorySpec;
  readonly key: string;
  readonly record: RunRecord;
}

/**
 * Writes a run's record, once; the same record again is a success. A run that was reset does again what it had done,
 * and finds it recorded: the first record stays.
 */
export async function writeRecord(
  deps: Dependencies,
  { repository, key, record }: RecordInput,
  { signal }: Working,
): Promise<void> {
  const store = deps.openRepository(repository);
  await store.check();
  try {
    await store.put(
      key,
      { run: record.run.short, attempt: 1 },
      new TextEncoder().encode(`${JSON.stringify(record, null, 2)}\n`),
      signal,
    );
  } catch (error) {
    if (!(error instanceof HoldfastError) || error.type !== 'NameTaken') throw error;
  }
}
