import { describe, expect, test } from '@jest/globals';
import { inFiveFields, readSixFields } from '../../../src/kubernetes/discovery/six-fields.ts';

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

  test('may name a time zone', () => {
    expect(readSixFields('CRON_TZ=Asia/Tokyo 0 0 2 * * *')).toEqual({ cron: '0 2 * * *', timezone: 'Asia/Tokyo' });
    expect(readSixFields('TZ=Europe/Paris @daily')).toEqual({ cron: '0 0 * * *', timezone: 'Europe/Paris' });
    expect(readSixFields('0 0 2 * * *')).toEqual({ cron: '0 2 * * *', timezone: undefined });
  });

  test.each([
    ['30 0 2 * * *', /^runs at second 30,/, 'set its seconds to 0, or write the policy by hand: schedule: 0 2 * * *'],
    ['*/10 * * * * *', /^runs several times a minute \("\*\/10"\),/, /schedule: \* \* \* \* \*$/],
    ['@every 6h', /^counts 6h from when the operator began, not by the clock$/, /schedule: 0 \*\/6 \* \* \*$/],
    ['@every 30m0s', /^counts 30m0s/, /schedule: \*\/30 \* \* \* \*$/],
    ['@every 1h', /^counts 1h/, /schedule: 0 \* \* \* \*$/],
    ['@every 24h', /^counts 24h/, /schedule: 0 0 \* \* \*$/],
    ['@every 1h30m', /^counts 1h30m/, /such as schedule/],
    ['@fortnightly', /^is no schedule in five fields: "" must have five fields/, /by hand/],
    ['0 0 2 1 * mon', /day or as weekday/, /by hand/],
  ])('%j is refused with its reason, and with what to do', (schedule, flaw, cure) => {
    const expected = typeof cure === 'string' ? cure : (expect.stringMatching(cure) as unknown);
    expect(readSixFields(schedule)).toEqual({ flaw: expect.stringMatching(flaw) as unknown, cure: expected });
  });
});
