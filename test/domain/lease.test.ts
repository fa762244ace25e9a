import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  decideLease,
  leaseModes,
  leaseRequestSchema,
  sameLease,
  withHolder,
  withoutHolder,
  type Holder,
  type LeaseMode,
  type LeaseRequest,
} from '../../src/domain/lease.ts';
import { expectGolden } from '../golden.ts';

const lease = (mode: LeaseMode, run: string, backup = 'b1'): LeaseRequest => ({
  mode,
  workflowId: `w-${run}`,
  runId: `r-${run}`,
  ...(mode === 'source' ? { backup } : {}),
});

describe('a lease', () => {
  test('is granted or refused by the mode that another run holds', () => {
    const cell = (asked: LeaseMode, held: LeaseMode) =>
      (decideLease([lease(held, 'a')], lease(asked, 'b')).granted ? 'granted' : 'refused').padEnd(9);
    const table = [
      ['asked', '|', ...leaseModes.map((held) => held.padEnd(9))],
      ...leaseModes.map((asked) => [asked, '|', ...leaseModes.map((held) => cell(asked, held))]),
    ];
    expectGolden(
      import.meta.url,
      'leases.txt',
      table.map(([asked = '', ...cells]) => `${asked.padEnd(7)} ${cells.join(' ')}`.trimEnd()).join('\n'),
    );
  });

  test('that is refused names who stands in the way, and only those', () => {
    const holders = [lease('backup', 'a'), lease('source', 'b'), lease('backup', 'c'), lease('prune', 'd')];
    expect(decideLease(holders, lease('change', 'x'))).toEqual({ granted: false, holders: [holders[0], holders[2]] });
  });

  test('for a prune tells which backups are being read, by whom', () => {
    const holders = [lease('source', 'a', 'b1'), lease('backup', 'c'), lease('source', 'b', 'b2')];
    expect(decideLease(holders, lease('prune', 'x'))).toEqual({
      granted: true,
      inUse: [
        ['b1', 'w-a'],
        ['b2', 'w-b'],
      ],
    });
  });

  test('of one’s own never stands in one’s way, but that of another run with the same workflow id does', () => {
    expect(decideLease([lease('backup', 'a')], lease('change', 'a')).granted).toBe(true);
    const reset = { ...lease('change', 'a'), runId: 'r-later' };
    expect(decideLease([lease('change', 'a')], reset).granted).toBe(false);
  });

  test('that one holds is granted again, whoever came in between: an answer may have been lost', () => {
    const holders = [lease('source', 'a'), lease('prune', 'b')];
    expect(decideLease(holders, lease('source', 'a')).granted).toBe(true);
    expect(decideLease(holders, lease('source', 'a', 'b2')).granted).toBe(false);
  });

  test('is asked for with a backup exactly where one is read', () => {
    const taken = (value: unknown) => leaseRequestSchema.safeParse(value).success;
    expect(leaseModes.map((mode) => taken(lease(mode, 'a')))).toEqual([true, true, true, true]);
    const run = { workflowId: 'w', runId: 'r' };
    expect([
      taken({ mode: 'source', ...run }),
      taken({ mode: 'change', ...run, backup: 'b1' }),
      taken({ mode: 'steal', ...run }),
      taken({ mode: 'prune', workflowId: '', runId: 'r' }),
      taken({ mode: 'prune', ...run, extra: 1 }),
      taken(undefined),
    ]).toEqual([false, false, false, false, false, false]);
  });
});

describe('over any sequence of requests', () => {
  const request = fc
    .tuple(fc.constantFrom(...leaseModes), fc.constantFrom('a', 'b', 'c'), fc.constantFrom('b1', 'b2'))
    .map(([mode, run, backup]) => lease(mode, run, backup));
  const moves = fc.array(fc.record({ request, back: fc.boolean() }), { maxLength: 40 });
  const play = (
    list: readonly { readonly request: LeaseRequest; readonly back: boolean }[],
    see: (holders: readonly Holder[]) => void,
  ) => {
    let holders: readonly Holder[] = [];
    for (const { request: asked, back } of list) {
      if (back) holders = withoutHolder(holders, asked);
      else if (decideLease(holders, asked).granted) holders = withHolder(holders, asked);
      see(holders);
    }
    return holders;
  };
  const runs = (holders: readonly Holder[], ...modes: LeaseMode[]) =>
    new Set(holders.filter(({ mode }) => modes.includes(mode)).map(({ runId }) => runId));

  test('one run changes the cluster at a time, and no other backs it up meanwhile', () => {
    fc.assert(
      fc.property(moves, (list) => {
        play(list, (holders) => {
          const changing = runs(holders, 'change');
          expect(changing.size).toBeLessThanOrEqual(1);
          if (changing.size > 0) expect(runs(holders, 'change', 'backup').size).toBe(1);
        });
      }),
    );
  });

  test('one run prunes at a time', () => {
    fc.assert(
      fc.property(moves, (list) => {
        play(list, (holders) => {
          expect(runs(holders, 'prune').size).toBeLessThanOrEqual(1);
        });
      }),
    );
  });

  test('no restore begins to read while another run prunes, so a prune knows every reader', () => {
    fc.assert(
      fc.property(moves, request, (list, asked) => {
        const holders = play(list, () => undefined);
        const grant = decideLease(holders, asked);
        fc.pre(asked.mode === 'source' && grant.granted && !holders.some((holder) => sameLease(holder, asked)));
        expect([...runs(holders, 'prune')].filter((run) => run !== asked.runId)).toEqual([]);
      }),
    );
  });

  test('holding and giving back twice is as good as once', () => {
    fc.assert(
      fc.property(moves, request, (list, asked) => {
        const holders = play(list, () => undefined);
        const held = withHolder(holders, asked);
        expect(withHolder(held, asked)).toEqual(held);
        expect(decideLease(held, asked).granted).toBe(true);
        const given = withoutHolder(held, asked);
        expect(withoutHolder(given, asked)).toEqual(given);
        expect(given.some((holder) => sameLease(holder, asked))).toBe(false);
      }),
    );
  });
});
