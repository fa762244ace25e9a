import { describe, expect, test } from '@jest/globals';
import { HoldfastError } from '../../src/domain/errors.ts';
import { errnoName, storeError } from '../../src/storage/errno.ts';

const systemError = (errno: number, code: string) => Object.assign(new Error(`${code}: text`), { errno, code });

describe('a system error', () => {
  test.each([
    [-28, 'ENOSPC', 'StoreFull', 'no space or no inodes'],
    [-122, 'EDQUOT', 'StoreFull', 'quota'],
    [-27, 'EFBIG', 'StoreFull', 'larger than'],
    [-30, 'EROFS', 'StoreUnavailable', 'read-only'],
    [-5, 'EIO', 'StoreUnavailable', 'the file system failed'],
    [-116, 'Unknown system error -116', 'StoreUnavailable', 'stale (ESTALE)'],
    [-121, 'Unknown system error -121', 'StoreUnavailable', 'EREMOTEIO'],
    [-112, 'Unknown system error -112', 'StoreUnavailable', 'EHOSTDOWN'],
    [-110, 'ETIMEDOUT', 'StoreUnavailable', 'ETIMEDOUT'],
    [-13, 'EACCES', 'StoreUnavailable', 'permission'],
    [-1, 'EPERM', 'StoreUnavailable', 'permission'],
    [-24, 'EMFILE', 'StoreUnavailable', 'too many files'],
    [-20, 'ENOTDIR', 'StoreUnavailable', 'something else lies'],
    [-36, 'ENAMETOOLONG', 'InvalidArgument', 'too long'],
  ])('%d (%s) is %s', (errno, code, type, text) => {
    const error = storeError(systemError(errno, code), 'writing a/b in /backup') as HoldfastError;
    expect(error).toBeInstanceOf(HoldfastError);
    expect(error.type).toBe(type);
    expect(error.message).toMatch(/^writing a\/b in \/backup failed: /);
    expect(error.message).toContain(text);
    expect(error.hint).not.toBe('');
  });

  test('keeps its name where only the code tells it', () => {
    expect(errnoName({ code: 'ENOSPC' })).toBe('ENOSPC');
    expect(errnoName(systemError(-99_999, 'Unknown system error -99999'))).toBeUndefined();
  });
});

test('what is no system error stays as it is: an abort, a bug, an error of ours', () => {
  for (const error of [
    new HoldfastError('NameTaken', 'x', 'y'),
    new DOMException('x', 'AbortError'),
    new TypeError('bug'),
    'text',
    null,
    undefined,
  ]) {
    expect(storeError(error, 'doing')).toBe(error);
  }
});
