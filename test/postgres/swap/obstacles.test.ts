import { expect, it } from '@jest/globals';
import type { SwapFacts, SwapInput } from '../../../src/domain/swap-report.ts';
import { inTheWay, refusal, swapObstacles } from '../../../src/postgres/swap/obstacles.ts';
import { calm, named } from './facts.ts';

const found = (facts: Partial<SwapFacts>, wishes: Partial<SwapInput> = {}) =>
  swapObstacles({ ...calm, ...facts }, wishes).map(({ kind, weight }) => `${weight}: ${kind}`);

it('nothing stands in the way of a calm server', () => {
  expect(found({}, { systemIdentifier: '7' })).toEqual([]);
});

it.each<[string, Partial<SwapFacts>, Partial<SwapInput>]>([
  ['another cluster', {}, { systemIdentifier: '8' }],
  ['in recovery', { inRecovery: true }, {}],
  ['not allowed', { user: { name: 'u', superuser: false, createDatabase: false } }, {}],
  ['system database', { asked: { ...calm.asked, liveName: 'template1' } }, {}],
  ['name taken', { oldNameOwner: 3003 }, {}],
  ['prepared transactions', { preparedTransactionCount: 1, preparedTransactions: [{ gid: 'x', owner: null }] }, {}],
  ['slots', { slotCount: 1, slots: [{ name: 's', plugin: null, active: false }] }, {}],
  ['subscriptions', { subscriptionCount: 1, subscriptions: [{ name: 's', enabled: false }] }, {}],
  ['workers', { workers: [{ kind: 'pg_cron launcher', pid: 4 }] }, {}],
])('in the way: %s', (kind, facts, wishes) => {
  expect(found(facts, wishes)).toEqual([`swap: ${kind}`]);
});

it.each<[string, Partial<SwapFacts>, Partial<SwapInput>]>([
  ['slots', { slotCount: 1, slots: [{ name: 's', plugin: null, active: false }] }, { slots: 'leave' }],
  [
    'subscriptions',
    { subscriptionCount: 1, subscriptions: [{ name: 's', enabled: true }] },
    { subscriptions: 'leave' },
  ],
  ['workers', { workers: [{ kind: 'pg_cron launcher', pid: 4 }] }, { workers: 'end' }],
  ['standbys', { standbys: 2 }, {}],
])('only to be known: %s', (kind, facts, wishes) => {
  expect(found(facts, wishes)).toEqual([`note: ${kind}`]);
});

it('a database whose DROP was cut short is in the way, whichever it is', () => {
  const { live, copy } = named('gatus', 'gatus_new');
  expect(found({ live: live && { ...live, invalid: true } })).toEqual(['swap: invalid database']);
  expect(found({ copy: copy && { ...copy, invalid: true } })).toEqual(['swap: invalid database']);
});

it('a user without superuser needs CREATEDB and both owners', () => {
  const user = { name: 'u', superuser: false, createDatabase: true };
  const { live, copy } = named('gatus', 'gatus_new');
  expect(found({ user })).toEqual([]);
  expect(found({ user, live: live && { ...live, isOurs: false } })).toEqual(['swap: not allowed']);
  expect(found({ user, copy: copy && { ...copy, isOurs: false } })).toEqual(['swap: not allowed']);
});

it('long lists are cut and counted', () => {
  const preparedTransactions = ['a', 'b'].map((gid) => ({ gid, owner: 'app' }));
  const [obstacle] = swapObstacles({ ...calm, preparedTransactions, preparedTransactionCount: 50 });
  expect(obstacle?.what).toBe("50 prepared transactions in 'gatus' or its copy: 'a' of app, 'b' of app and 48 more");
});

it('a refusal says all that is in the way, and how to get rid of each', () => {
  const obstacles = swapObstacles({ ...calm, inRecovery: true, oldNameOwner: 3003, standbys: 1 }).filter(inTheWay);
  const error = refusal(calm.asked, obstacles);
  expect(error.type).toBe('SwapFailed');
  expect(error.message).toMatch(
    /^can't swap 'gatus': the server is a standby.*; there is a database 'gatus_old' already/,
  );
  expect(error.hint).toMatch(/connect to the primary.*; rename or drop that one/);
});
