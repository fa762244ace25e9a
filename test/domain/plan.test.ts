import { describe, expect, test } from '@jest/globals';
import {
  hopeless,
  needsApproval,
  planDigest,
  shortDigest,
  type RestoreFacts,
  type RestorePlan,
} from '../../src/domain/plan.ts';
import { restorePlan } from './samples.ts';

const plan = restorePlan();
const adopting = (roles: string[], databases: string[]) =>
  restorePlan({ kind: 'cluster', adopts: { roles, databases } });

describe('the digest of a plan', () => {
  test('is 64 hex digits of which twelve are shown', () => {
    expect(planDigest(plan)).toMatch(/^[0-9a-f]{64}$/);
    expect(shortDigest(planDigest(plan))).toBe(planDigest(plan).slice(0, 12));
  });

  test('stays when only estimates and obstacles move', () => {
    const moved: RestorePlan = {
      ...plan,
      estimates: { ...plan.estimates, sessions: 99, freeBytes: null },
      obstacles: [{ weight: 'note', what: 'busy', cure: '' }],
    };
    expect(planDigest(moved)).toBe(planDigest(plan));
  });

  test('stays when the facts were read again, in whatever order', () => {
    const again = Object.fromEntries(Object.entries(structuredClone(plan.facts)).reverse()) as unknown as RestoreFacts;
    expect(planDigest({ ...plan, facts: again })).toBe(planDigest(plan));
  });

  test('is another as soon as any fact is another', () => {
    const { source, target } = plan.facts;
    const changes: Partial<RestoreFacts>[] = [
      {},
      { run: 'ffffffff' },
      { kind: 'create' },
      { source: { ...source, backup: 'other' } },
      { source: { ...source, manifest: '3'.repeat(64) } },
      { target: { ...target, systemIdentifier: '1' } },
      { target: { ...target, timeline: 2 } },
      { target: { ...target, liveOid: 16_385 } },
      { target: { ...target, database: 'app' } },
      { copyOid: 20_000 },
      { oldName: 'gatus_old_other' },
      { properties: { from: 'backup', digest: '2'.repeat(64) } },
      { createRoles: ['app'] },
      { adopts: { roles: [], databases: [] } },
      { report: { ok: true, tables: 1, rows: 3, differences: [], notes: [] } },
    ];
    expect(new Set(changes.map((facts) => planDigest(restorePlan(facts)))).size).toBe(changes.length);
  });
});

describe('a plan', () => {
  test('needs a human where something that is there is put aside, altered or filled', () => {
    expect(needsApproval(plan)).toBe(true);
    expect(needsApproval(restorePlan({ kind: 'create' }))).toBe(false);
    expect(needsApproval(restorePlan({ kind: 'cluster' }))).toBe(false);
    expect(needsApproval(adopting([], []))).toBe(false);
    expect(needsApproval(adopting(['app'], []))).toBe(true);
    expect(needsApproval(adopting([], ['app']))).toBe(true);
  });

  test('is hopeless for what can’t be cured on the way', () => {
    const what = (weight: 'hopeless' | 'swap' | 'note') => ({ weight, what: weight, cure: '' });
    const found = restorePlan({}, { obstacles: [what('note'), what('hopeless'), what('swap')] });
    expect(hopeless(found)).toEqual([what('hopeless')]);
    expect(hopeless(plan)).toEqual([]);
  });
});
