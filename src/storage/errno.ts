import { constants } from 'node:os';
import { type ErrorType, HoldfastError, messageOf } from '../domain/errors.ts';

/** Not in Node's table, and met on network file systems. */
const further: Readonly<Record<number, string>> = { 112: 'EHOSTDOWN', 121: 'EREMOTEIO' };

const names: ReadonlyMap<number, string> = new Map([
  ...Object.entries(constants.errno).map(([name, value]) => [value, name] as const),
  ...Object.entries(further).map(([value, name]) => [Number(value), name] as const),
]);

/**
 * The name of a system error, such as ENOSPC; undefined for any other error. It goes by the number: to Node ESTALE is
 * "Unknown system error -116".
 */
export function errnoName(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const { errno, code } = error as { readonly errno?: unknown; readonly code?: unknown };
  const named = typeof errno === 'number' ? names.get(Math.abs(errno)) : undefined;
  return named ?? (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code) ? code : undefined);
}

interface Verdict {
  readonly type: ErrorType;
  readonly what: string;
  readonly hint: string;
}

const space = 'free space or inodes (df, df -i), raise the quota, or keep fewer backups';
const answering = 'look whether the disk or the file server is well; the run goes on when it answers again';
const rights = "give the worker's user the rights to the directory (with root_squash: the export's own user)";

/** What a system error means for a repository in a directory. */
function verdictOn(name: string): Verdict {
  switch (name) {
    case 'ENOSPC':
      return { type: 'StoreFull', what: 'no space or no inodes are left', hint: space };
    case 'EDQUOT':
      return { type: 'StoreFull', what: 'the quota is used up', hint: space };
    case 'EFBIG':
      return {
        type: 'StoreFull',
        what: "the file is larger than the file system's limit",
        hint: 'put the repository on a file system that takes larger files',
      };
    case 'EROFS':
      return {
        type: 'StoreUnavailable',
        what: 'the file system is read-only',
        hint: 'look in the kernel log why it was remounted read-only, or mount it read-write',
      };
    case 'ESTALE':
      return {
        type: 'StoreUnavailable',
        what: 'the mount is stale',
        hint: 'mount it again: in Kubernetes a new pod of the worker does',
      };
    case 'EACCES':
    case 'EPERM':
      return { type: 'StoreUnavailable', what: 'permission was denied', hint: rights };
    case 'EMFILE':
    case 'ENFILE':
      return {
        type: 'StoreUnavailable',
        what: 'too many files are open',
        hint: "raise the worker's limit on open files",
      };
    case 'ENOENT':
      return {
        type: 'StoreUnavailable',
        what: 'a file went away meanwhile',
        hint: 'see that nobody else works in the directory',
      };
    case 'ENOTDIR':
    case 'EISDIR':
    case 'EEXIST':
    case 'ELOOP':
      return {
        type: 'StoreUnavailable',
        what: 'something else lies where a file or directory is expected',
        hint: 'see that nobody else works in the directory',
      };
    case 'ENAMETOOLONG':
      return {
        type: 'InvalidArgument',
        what: 'the name is too long',
        hint: 'choose a shorter path or prefix in the policy',
      };
    default:
      return { type: 'StoreUnavailable', what: 'the file system failed', hint: answering };
  }
}

/**
 * A system error as a HoldfastError; anything else (a HoldfastError, an abort's reason, a bug) as it is.
 * @param doing what failed, such as "writing a/b.sql.gz in /backup"
 */
export function storeError(error: unknown, doing: string): unknown {
  if (error instanceof HoldfastError) return error;
  const name = errnoName(error);
  if (name === undefined) return error;
  const { type, what, hint } = verdictOn(name);
  return new HoldfastError(type, `${doing} failed: ${what} (${name})`, hint, { cause: messageOf(error) });
}

/** Does it, and translates what it throws. */
export async function translated<T>(doing: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw storeError(error, doing);
  }
}

/** For what may be missing: undefined instead of ENOENT (or a file where a directory should be). */
export async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

export function isMissing(error: unknown): boolean {
  const name = errnoName(error);
  return name === 'ENOENT' || name === 'ENOTDIR';
}
