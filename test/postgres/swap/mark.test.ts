import { expect, it } from '@jest/globals';
import { readMark, writeMark } from '../../../src/postgres/swap/mark.ts';

const mark = { closedAtMs: 1_763_715_000_123, copyWasOpen: true };

it.each([null, '', 'a comment', 'two\nlines', 'holdfast: restore 1a2b3c4d'])(
  'a mark is taken off a comment again: %j',
  (comment) => {
    expect(readMark(writeMark(mark, comment))).toEqual({ mark, comment });
    expect(readMark(writeMark({ ...mark, copyWasOpen: false }, comment)).mark?.copyWasOpen).toBe(false);
  },
);

it.each([
  null,
  'a comment',
  'about holdfast: swap, closed at 1, copy was open',
  'holdfast: swap, closed at 1, copy was open, or so I think',
  'holdfast: swap, closed at noon, copy was open',
])('what only looks like a mark is a comment: %j', (comment) => {
  expect(readMark(comment)).toEqual({ mark: null, comment });
});
