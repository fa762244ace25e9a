import { describe, expect, test } from '@jest/globals';
import { inFiveFields } from '../../../src/kubernetes/discovery/six-fields.ts';

describe('a schedule of CloudNativePG', () => {
  test.each([
    ['0 0 2 * * *', '0 2 * * *'],
    ['  00 30 */6 * * mon-fri ', '30 */6 * * mon-fri'],
    ['0 0 0 ? * SUN', '0 0 * * SUN'],
    ['0 15 3 1 * ?', '15 3 1 * *'],
    ['@daily', '0 0 * * *'],
    ['@weekly', '0 0 * * 0'],
  ])('%s is %s in five fields', (six, five) => {
    expect(inFiveFields(six)).toBe(five);
  });

  test('of five fields begins with the seconds, too', () => {
    expect(inFiveFields('0 0 2 * *')).toBe('0 2 * * *');
  });

  test.each([
    '30 0 2 * * *',
    '*/10 * * * * *',
    '* 0 2 * * *',
    '@every 1h30m',
    'TZ=Asia/Tokyo 0 0 2 * * *',
    '0 0 2 1 * mon',
    '0 5/15 * * * *',
    '0 0 25 * * *',
    '0 2 * *',
    '0 0 2 * * * 2026',
    '',
    'nightly',
  ])('%j can not be said in five fields', (schedule) => {
    expect(inFiveFields(schedule)).toBeUndefined();
  });
});
