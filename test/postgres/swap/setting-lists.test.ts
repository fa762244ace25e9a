import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { isListSetting, splitList } from '../../../src/postgres/swap/setting-lists.ts';

it.each([
  ['"$user", public', ['$user', 'public']],
  ['a,b , "c d"', ['a', 'b', 'c d']],
  ['"a,b", "with ""quotes""", ""', ['a,b', 'with "quotes"', '']],
  ['  ', []],
  ['', []],
])('%s is a list', (value, items) => {
  expect(splitList(value)).toEqual(items);
});

it.each(['a,', ',a', '"open', 'a b', '"a"b'])('%s is none', (value) => {
  expect(splitList(value)).toBeUndefined();
});

it('every list of names that PostgreSQL would write is read as it was meant', () => {
  fc.assert(
    fc.property(fc.array(fc.string().filter((name) => !name.includes('\0'))), (names) => {
      const written = names.map((name) => `"${name.replaceAll('"', '""')}"`).join(', ');
      expect(splitList(written)).toEqual(names);
    }),
  );
});

it('search_path is a list whatever its spelling, DateStyle is not', () => {
  expect(['search_path', 'Search_Path', 'temp_tablespaces'].every(isListSetting)).toBe(true);
  expect(['DateStyle', 'my.search_path'].some(isListSetting)).toBe(false);
});
