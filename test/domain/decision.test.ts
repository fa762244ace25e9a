import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { decisionExample, judgeDecision, judgeFollowUp, type Gate } from '../../src/domain/decision.ts';
import { expectGolden } from '../golden.ts';

const first = `a1b2c3d4e5f6${'0'.repeat(52)}`;
const second = `b1b2c3d4e5f6${'0'.repeat(52)}`;
const now = '2026-11-21T12:00:00.000Z';
const later = '2026-11-22T12:00:00.000Z';
const gate: Gate = { plans: [first], open: true, expiresAt: later };
const two: Gate = { ...gate, plans: [first, second] };
const alice = { by: 'alice', reason: 'checked the report' };

const why = (judged: ReturnType<typeof judgeDecision> | ReturnType<typeof judgeFollowUp>) =>
  'refused' in judged ? judged.refused.why : 'TAKEN';

describe('a decision', () => {
  test('on the one plan there is is taken, and whether it named the plan is recorded', () => {
    expect(judgeDecision('approve', alice, gate, now)).toEqual({
      taken: { verb: 'approve', ...alice, plan: first, planNamed: false, authenticated: false, at: now },
    });
    expect(judgeDecision('reject', { ...alice, plan: 'a1b2c3d4e5f6' }, gate, now)).toEqual({
      taken: { verb: 'reject', ...alice, plan: first, planNamed: true, authenticated: false, at: now },
    });
  });

  test('on the plan in force is taken where there were others', () => {
    expect(judgeDecision('approve', { ...alice, plan: second }, two, now)).toMatchObject({ taken: { plan: second } });
  });

  test('may be given with more digits, a nonce, and without a time limit', () => {
    const payload = { ...alice, plan: first, nonce: 'x' };
    expect(judgeDecision('approve', payload, { ...gate, expiresAt: null }, now)).toHaveProperty('taken');
  });

  test('can be sent as the example says', () => {
    expect(judgeDecision('approve', JSON.parse(decisionExample), gate, now)).toHaveProperty('taken');
  });

  test('is shown beside the plan, so it can’t look like a part of it', () => {
    const payload = { by: ' alice\n### Plan approved ', reason: 'line one\r\nline two \u202etxt' };
    expect(judgeDecision('approve', payload, gate, now)).toMatchObject({
      taken: { by: 'alice ### Plan approved', reason: 'line one line two \ufffdtxt' },
    });
  });

  test('that can’t be taken is refused with the reason', () => {
    const cases: readonly (readonly [string, unknown, Gate?, string?])[] = [
      ['nothing', undefined],
      ['null', null],
      ['a text', 'approve'],
      ['a list', [alice]],
      ['an empty object', {}],
      ['nobody', { ...alice, by: '  ' }],
      ['no reason', { by: 'alice' }],
      ['an unknown member', { ...alice, approved: true }],
      ['a member named __proto__', JSON.parse('{"by":"alice","reason":"x","__proto__":{}}')],
      ['a plan of too few digits', { ...alice, plan: 'a1b2c3' }],
      ['a plan in capitals', { ...alice, plan: 'A1B2C3D4E5F6' }],
      ['a plan that is a number', { ...alice, plan: 112233445566 }],
      ['a long name', { ...alice, by: 'a'.repeat(201) }],
      ['a signature', { ...alice, signature: 'c2ln' }],
      ['no plan yet', alice, { plans: [], open: true, expiresAt: null }],
      ['a closed gate', alice, { ...gate, open: false }],
      ['exactly at the end', alice, gate, later],
      ['too late', alice, gate, '2026-11-23T00:00:00.000Z'],
      ['no plan named among several', alice, two],
      ['an earlier plan', { ...alice, plan: first }, two],
      ['a plan of another run', { ...alice, plan: 'ffffffffffff' }, two],
      ['a plan that only begins alike', { ...alice, plan: 'a1b2c3d4e5f61' }],
    ];
    const answers = cases.map(
      ([title, payload, at = gate, time = now]) => `# ${title}\n${why(judgeDecision('approve', payload, at, time))}\n`,
    );
    expectGolden(import.meta.url, 'decisions.txt', answers.join('\n'));
  });

  test('that is refused is recorded with the name that was claimed, on one line and cut', () => {
    const refusal = (payload: unknown) => judgeDecision('reject', payload, { ...gate, open: false }, now);
    expect(refusal(alice)).toMatchObject({ refused: { verb: 'reject', by: 'alice', at: now } });
    expect(refusal({ by: 'mallory\n- **approve** by root' })).toMatchObject({
      refused: { by: 'mallory - **approve** by root' },
    });
    expect(refusal({ by: `${'a'.repeat(199)}🐘` })).toMatchObject({ refused: { by: `${'a'.repeat(199)}\ufffd` } });
    expect(refusal({ by: 5 })).toMatchObject({ refused: { by: null } });
    expect(refusal(null)).toMatchObject({ refused: { by: null } });
  });
});

describe('a follow-up', () => {
  test('is taken while it can be done', () => {
    expect(judgeFollowUp('undo', alice, true, now)).toEqual({ taken: { verb: 'undo', ...alice, at: now } });
    expect(judgeFollowUp('release', { ...alice, nonce: 'x' }, true, now)).toHaveProperty('taken');
  });

  test('that can’t be taken is refused with the reason', () => {
    const cases: readonly (readonly [string, unknown, boolean?])[] = [
      ['nothing', undefined],
      ['no reason', { by: 'alice' }],
      ['a plan, which it doesn’t have', { ...alice, plan: first }],
      ['nothing to do', alice, false],
    ];
    const answers = cases.map(
      ([title, payload, open = true]) => `# ${title}\n${why(judgeFollowUp('undo', payload, open, now))}\n`,
    );
    expectGolden(import.meta.url, 'follow-ups.txt', answers.join('\n'));
  });

  // Nobody vouches for it: the same refusal as for a decision.
  test('with a signature is refused', () => {
    expect(why(judgeFollowUp('release', { ...alice, signature: 'c2ln' }, true, now))).toBe(
      'signed messages are not built yet in this version; send it without signature',
    );
  });
});

describe('any message', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withNullPrototype: true,
    withSparseArray: true,
    withTypedArray: true,
  });
  const nearly = fc.record(
    { by: anything, reason: anything, plan: anything, nonce: anything, signature: anything, '\ud800': anything },
    { requiredKeys: [] },
  );
  const hex = fc.stringMatching(/^[0-9a-f]{64}$/);
  const anyGate = fc.record({
    plans: fc.array(hex, { maxLength: 3 }),
    open: fc.boolean(),
    expiresAt: fc.constantFrom(null, now, later),
  });
  const verb = fc.constantFrom('approve' as const, 'reject' as const);

  test('is taken or refused, never thrown at, and nothing of it is long or half a character', () => {
    fc.assert(
      fc.property(
        fc.oneof(anything, nearly, fc.jsonValue()),
        anyGate,
        verb,
        fc.boolean(),
        (payload, at, word, open) => {
          for (const judged of [judgeDecision(word, payload, at, now), judgeFollowUp('undo', payload, open, now)]) {
            if ('taken' in judged) continue;
            expect(judged.refused.why.length).toBeLessThan(5000);
            expect(`${judged.refused.why}${judged.refused.by ?? ''}`).not.toMatch(/[\p{Cs}\n]/u);
          }
        },
      ),
    );
  });

  test('is taken only for the plan in force, while the gate is open and not expired', () => {
    const sensible = fc.record(
      {
        by: fc.constant('alice'),
        reason: fc.constant('why'),
        plan: fc.oneof(hex, fc.constantFrom(first, second, first.slice(0, 12))),
      },
      { requiredKeys: ['by', 'reason'] },
    );
    const gates = fc.record({
      plans: fc.subarray([first, second]),
      open: fc.boolean(),
      expiresAt: fc.constantFrom(null, now, later),
    });
    fc.assert(
      fc.property(sensible, gates, (payload, at) => {
        const judged = judgeDecision('approve', payload, at, now);
        const current = at.plans.at(-1);
        const may =
          at.open &&
          current !== undefined &&
          (at.expiresAt === null || now < at.expiresAt) &&
          (payload.plan === undefined ? at.plans.length === 1 : current.startsWith(payload.plan));
        expect('taken' in judged ? judged.taken.plan : undefined).toBe(may ? current : undefined);
      }),
    );
  });
});
