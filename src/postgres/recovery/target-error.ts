import { HoldfastError, messageOf } from '../../domain/errors.ts';

/** A system error while a target is written, named after it; anything else as it is. */
export function targetError(error: unknown, path: string): unknown {
  if (error instanceof HoldfastError) return error;
  const { code, syscall } = (error ?? {}) as { readonly code?: unknown; readonly syscall?: unknown };
  if (typeof code !== 'string' || syscall === undefined) return error;
  const options = { cause: error };
  if (code === 'ENOSPC' || code === 'EDQUOT')
    return new HoldfastError(
      'StoreFull',
      `${path}, where the backup is restored to, is full (${code})`,
      'free space or inodes there (df, df -i); what was restored already is kept, and the next attempt goes on behind it',
      options,
    );
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS')
    return new HoldfastError(
      'RestoreFailed',
      `${path} can't be written by the worker (${code})`,
      "give the worker's user the rights to the directory, or choose another one",
      options,
    );
  return new HoldfastError(
    'RestoreFailed',
    `writing to ${path} failed: ${messageOf(error)}`,
    'see that nobody else works in the directory, and look at the disk',
    options,
  );
}
