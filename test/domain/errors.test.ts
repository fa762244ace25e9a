import { describe, expect, test } from '@jest/globals';
import { HoldfastError, errorTypes, isRetryable, messageOf } from '../../src/domain/errors.ts';
import { expectGolden } from '../golden.ts';

describe('an error of ours', () => {
  test('has a type, a message, a hint and a cause', () => {
    const cause = new Error('ENOSPC');
    const error = new HoldfastError('StoreFull', 'repository nas is full', 'make room', { cause });
    expect(error).toMatchObject({
      name: 'StoreFull',
      type: 'StoreFull',
      message: 'repository nas is full',
      hint: 'make room',
    });
    expect(error.cause).toBe(cause);
    expect(error).toBeInstanceOf(Error);
    expect(new HoldfastError('Busy', 'a', 'b').cause).toBeUndefined();
  });

  test('is well-formed text, wherever its message was cut: Temporal’s worker ends on one that isn’t', () => {
    const error = new HoldfastError('ToolFailed', 'pg_dump said 🐘'.slice(0, -1), 'see \udc18');
    expect([error.message, error.hint]).toEqual(['pg_dump said \ufffd', 'see \ufffd']);
  });

  test('may be tried again where somebody or something may have mended it meanwhile, by its type alone', () => {
    expectGolden(import.meta.url, 'errors-retryable.txt', errorTypes.filter(isRetryable).join('\n'));
  });
});

describe('the text of what was thrown', () => {
  test.each([
    [new Error('broken'), 'broken'],
    [new TypeError(''), 'TypeError'],
    ['a text', 'a text'],
    [undefined, 'undefined'],
    [null, 'null'],
    [5, '5'],
    [new Error('cut \ud83d'), 'cut \ufffd'],
    ['\ud83d', '\ufffd'],
  ])('%p is %p', (thrown, text) => {
    expect(messageOf(thrown)).toBe(text);
  });
});
