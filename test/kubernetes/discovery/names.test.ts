import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { nameSchema } from '../../../src/domain/ids.ts';
import { namesFor } from '../../../src/kubernetes/discovery/names.ts';

const found = (namespace: string, name: string, kind: 'cnpg' | 'statefulset' = 'cnpg') => ({ namespace, name, kind });
const named = (...all: readonly ReturnType<typeof found>[]) => {
  const names = namesFor(all);
  return all.map((one) => names.get(one));
};

describe('names of clusters', () => {
  test('are those of the objects', () => {
    expect(named(found('a', 'logto'), found('b', 'jigga'))).toEqual(['logto', 'jigga']);
  });

  test('have the namespace before them where two are the same', () => {
    expect(named(found('dev', 'logto'), found('prod', 'logto'), found('prod', 'jigga'))).toEqual([
      'dev-logto',
      'prod-logto',
      'jigga',
    ]);
  });

  test('have the kind behind them where two are the same in one namespace', () => {
    expect(named(found('a', 'pg'), found('a', 'pg', 'statefulset'))).toEqual(['a-pg-cnpg', 'a-pg-statefulset']);
  });

  test('of others never take a name away that is an object’s own', () => {
    expect(named(found('a', 'pg'), found('b', 'pg'), found('c', 'a-pg'))).toEqual(['a-pg-2', 'b-pg', 'a-pg']);
  });

  test('are valid, each another, and the same in whatever order they come', () => {
    const label = fc.stringMatching(/^[a-c]([-.a-c]{0,3}[a-c])?$/);
    const name = fc.oneof(label, fc.stringMatching(/^[a-z]{60,64}[-.][a-z]$/));
    const one = fc.record({ namespace: label, name, kind: fc.constantFrom('cnpg' as const, 'statefulset' as const) });
    const selector = (each: ReturnType<typeof found>) => `${each.namespace}/${each.name}/${each.kind}`;
    fc.assert(
      fc.property(fc.uniqueArray(one, { selector, maxLength: 30 }), (all) => {
        const names = namesFor(all);
        const given = all.map((each) => names.get(each) ?? '');
        expect(new Set(given).size).toBe(all.length);
        for (const each of given) expect(nameSchema.safeParse(`${each}-daily`).success).toBe(true);
        const backwards = namesFor([...all].reverse());
        expect(all.map((each) => backwards.get(each))).toEqual(given);
      }),
    );
  });
});
