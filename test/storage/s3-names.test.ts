import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { keyFault } from '../../src/storage/keys.ts';
import {
  isWithin,
  makeToken,
  newThing,
  ownerPrefix,
  parsePiece,
  parseToken,
  pieceKey,
  rangesOf,
  type Token,
} from '../../src/storage/s3/names.ts';

const thing = newThing('infra/logical/a.sql.gz', { run: 'run-7', attempt: 12 });
const token: Token = {
  kind: 'parts',
  thing,
  upload: {
    uploadId: 'Abc/+=~.id_with-anything',
    ranges: [
      [1, 57],
      [60, 60],
      [62, 80],
    ],
    etagsDigest: 'e'.repeat(64),
    md5: 'd'.repeat(32),
  },
};

describe('what is staged in a bucket', () => {
  test.each(['ticket', 'upload', 'body'] as const)(
    'has a hidden key that says whose it is and what for: %s',
    (piece) => {
      const hidden = pieceKey(thing, piece);
      expect(keyFault(hidden)).toBeDefined();
      expect(hidden.startsWith(ownerPrefix({ run: 'run-7' }))).toBe(true);
      expect(hidden.startsWith(ownerPrefix({ run: 'run-7', attempt: 12 }))).toBe(true);
      expect(hidden.startsWith(ownerPrefix({ run: 'run-7', attempt: 1 }))).toBe(false);
      expect(hidden.startsWith(ownerPrefix({ run: 'run' }))).toBe(false);
      expect(parsePiece(hidden)).toEqual({ thing, piece });
    },
  );

  test.each([
    '',
    'infra/a',
    '.holdfast-staged/x',
    '.holdfast-staged/r.1.00000000/other/k',
    '.holdfast-staged/r.1.00000000/body/../k',
    '.holdfast-staged/r.1.00000000/body/',
    '.holdfast-staged/r.x.00000000/body/k',
  ])('is nothing else: %j', (key) => {
    expect(parsePiece(key)).toBeUndefined();
  });

  test('is told of in a token that stays small', () => {
    expect(parseToken(thing.key, makeToken(token))).toEqual(token);
    expect(makeToken(token).length).toBeLessThan(300);
    for (const kind of ['small', 'body'] as const) {
      expect(parseToken(thing.key, makeToken({ kind, thing }))).toEqual({ kind, thing });
    }
  });

  test('is not told of by any other text, nor by the token of another key', () => {
    const whole = makeToken(token);
    for (const text of ['', 'x', whole.slice(0, -60), `${whole}/x`, whole.replace('parts', 'body')]) {
      expect(() => parseToken(thing.key, text)).toThrow(expect.objectContaining({ type: 'InvalidArgument' }));
    }
    expect(() => parseToken('infra/b', whole)).toThrow(expect.objectContaining({ type: 'InvalidArgument' }));
  });

  test('keeps the numbers of parts as ranges', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 60 })), (numbers) => {
        const sorted = [...numbers].sort((a, b) => a - b);
        const ranges = rangesOf(sorted);
        for (let number = 1; number <= 60; number += 1) expect(isWithin(number, ranges)).toBe(sorted.includes(number));
        expect(ranges.length).toBeLessThanOrEqual(numbers.length);
      }),
    );
    expect(rangesOf([1, 2, 3, 5, 6, 9])).toEqual([
      [1, 3],
      [5, 6],
      [9, 9],
    ]);
  });
});
