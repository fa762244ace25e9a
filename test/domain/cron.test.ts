import { describe, expect, test } from '@jest/globals';
import { Cron } from 'croner';
import fc from 'fast-check';
import { cronFlaw } from '../../src/domain/cron.ts';
import { expectGolden } from '../golden.ts';

/** What 'holdfast apply' shows, by the library it uses. */
const nextRun = (text: string) =>
  new Cron(text, { timezone: 'UTC', mode: '5-part' }).nextRun(new Date('2026-11-21T00:00:00Z'));

describe('a schedule', () => {
  test.each([
    '* * * * *',
    '0 2 * * *',
    '*/15 * * * *',
    '0 */6 * * *',
    '0 2 1,15 * *',
    '0 2 1-7/2 * *',
    '5-59/10 2 * * *',
    '0 2 * jan,JUL *',
    '0 2 * * mon-fri',
    '0 2 * * 0',
    '0 2 * * 7',
    '  0  2 * * *  ',
  ])('%p is taken', (text) => {
    expect(cronFlaw(text)).toBeUndefined();
    expect(nextRun(text)).not.toBeNull();
  });

  test('that Temporal would refuse, or read otherwise than cron, is refused with what it must be', () => {
    const wrong = [
      '',
      '* * * *',
      '* * *',
      '* *',
      '0 0 2 * * *',
      '0 0 2 * * * *',
      '@daily',
      '@every 1h',
      '60 * * * *',
      '-1 * * * *',
      '* 24 * * *',
      '* * 0 * *',
      '* * 32 * *',
      '* * * 13 *',
      '* * * * 8',
      '* * * foo *',
      '* * L * *',
      '* * ? * *',
      '* * * * 5#2',
      '* * * * mon-',
      '* * * * fri-mon',
      '30-10 * * * *',
      '*/0 * * * *',
      '*-5 * * * *',
      '5-* * * * *',
      '1,,2 * * * *',
      ', * * * *',
      '*/60 * * * *',
      '5/10 * * * *',
      '*/100 * * * *',
      '0 2 * */13 *',
      '0 2 1 * mon',
      '0 2 */2 * 1',
    ];
    expectGolden(
      import.meta.url,
      'cron.txt',
      wrong.map((text) => `${text}\n  ${cronFlaw(text) ?? 'TAKEN'}`).join('\n'),
    );
  });

  const item = (least: number, most: number) =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: least, max: most }).map(String),
      fc
        .tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }))
        .map(([a, b]) => `${String(Math.min(a, b))}-${String(Math.max(a, b))}`),
      fc.integer({ min: 1, max: most }).map((step) => `*/${String(step)}`),
    );

  test('of any fields within their ranges is taken, and previews of it can be made', () => {
    const schedule = fc
      .tuple(item(0, 59), item(0, 23), item(1, 28), item(1, 12), fc.constant('*'))
      .map((fields) => fields.join(' '));
    fc.assert(
      fc.property(schedule, (text) => {
        expect(cronFlaw(text)).toBeUndefined();
        expect(nextRun(text)).not.toBeNull();
      }),
    );
  });

  test('of any text gets an answer', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(['string', 'undefined']).toContain(typeof cronFlaw(text));
      }),
    );
  });
});
