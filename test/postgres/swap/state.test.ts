import { describe, expect, it } from '@jest/globals';
import type { SwapFacts, SwapState } from '../../../src/domain/swap-report.ts';
import { assertTarget, describeForeign, foreignState, reversed, swapState } from '../../../src/postgres/swap/state.ts';
import { calm, closed, named } from './facts.ts';

const mark = { closedAtMs: 1, copyWasOpen: true };
const swapped = named('gatus_old', 'gatus');

const cases: readonly [string, Partial<SwapFacts>, SwapState][] = [
  ['nothing was done', {}, 'before'],
  ['the copy was made closed', { copy: closed(calm.copy) }, 'before'],
  ['both were closed by a swap', { live: closed(calm.live), copy: closed(calm.copy), mark }, 'closed'],
  ['a person opened the live one again, and a swap had closed it', { mark }, 'closed'],
  ['a person closed the live one', { live: closed(calm.live) }, 'foreign'],
  ['the names are exchanged, not opened', { live: closed(swapped.live), copy: closed(swapped.copy), mark }, 'swapped'],
  ['the names are exchanged and opened', { live: closed(swapped.live), copy: swapped.copy }, 'done'],
  ['a person opened the old one to look into it', swapped, 'done'],
  ['a person closed the new live one afterwards', { live: swapped.live, copy: closed(swapped.copy) }, 'done'],
  ['the live one is gone', { live: null }, 'foreign'],
  ['the copy is gone', { copy: null }, 'foreign'],
  ['the copy was renamed', named('gatus', 'other'), 'foreign'],
  ['the live one was renamed by hand', named('other', 'gatus_new'), 'foreign'],
  ['both were exchanged by hand under other names', named('gatus_new', 'gatus'), 'foreign'],
  ['another database bears the old name', { oldNameOwner: 3003 }, 'before'],
];

it.each(cases)('%s', (_, facts, state) => {
  expect(swapState({ ...calm, ...facts })).toBe(state);
});

it('a state has exactly one name from the way back, too', () => {
  const back = reversed({ ...calm.asked, properties: 'live' });
  expect(back).toEqual({
    ...{ liveName: 'gatus', liveOid: 2002, copyName: 'gatus_old', copyOid: 1001, oldName: 'gatus_new' },
    properties: 'keep',
  });
  expect(reversed(back)).toMatchObject(calm.asked);
  const seen = (facts: Partial<SwapFacts>) => swapState({ ...calm, ...facts, asked: back });
  expect(seen({ live: swapped.copy, copy: closed(swapped.live) })).toBe('before');
  expect(seen({ live: closed(swapped.copy), copy: closed(swapped.live), mark })).toBe('closed');
  const undone = named('gatus', 'gatus_new');
  expect(seen({ live: closed(undone.copy), copy: closed(undone.live), mark })).toBe('swapped');
  expect(seen({ live: closed(undone.copy), copy: undone.live })).toBe('done');
});

it.each([
  [{ live: null }, 'the live database (OID 1001) is gone', 'plan again'],
  [{ copy: null }, 'the copy (OID 2002) is gone', 'plan again'],
  [{ copy: null, live: closed(calm.live) }, 'the copy (OID 2002) is gone', "ALLOW_CONNECTIONS true opens 'gatus'"],
  [{ live: closed(calm.live) }, "it wasn't this swap that closed it", "ALLOW_CONNECTIONS true opens 'gatus'"],
  [named('a', 'b'), "are named 'a' and 'b'", 'nothing was touched'],
])('what is foreign is described, with what to do: %#', (facts, text, hint) => {
  expect(describeForeign({ ...calm, ...facts })).toContain(text);
  expect(foreignState({ ...calm, ...facts })).toMatchObject({
    type: 'PlanChanged',
    hint: expect.stringContaining(hint),
  });
});

describe('a target is refused', () => {
  it.each([
    ['with an empty name', { copyName: '' }],
    ['with a name of 64 bytes', { oldName: 'ü'.repeat(32) }],
    ['with a NUL in a name', { oldName: 'a\0' }],
    ['with two equal names', { oldName: 'gatus_new' }],
    ['with one database twice', { copyOid: 1001 }],
  ])('%s', (_, change) => {
    expect(() => {
      assertTarget({ ...calm.asked, ...change });
    }).toThrow(expect.objectContaining({ type: 'InvalidArgument' }));
  });
});
