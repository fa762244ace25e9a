import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { explainIssues, explainShortly, lookUp } from '../../src/domain/explain.ts';
import { expectGolden } from '../golden.ts';

const schema = z.strictObject({
  name: z.string().min(2).max(4),
  count: z.number().int().min(1).max(9).optional(),
  kind: z.enum(['a', 'b']).optional(),
  version: z.literal(1).optional(),
  table: z.record(z.string().regex(/^[a-z]+$/, 'must be letters'), z.boolean()).optional(),
  list: z.array(z.string()).optional(),
  at: z.iso.datetime().optional(),
  odd: z
    .string()
    .refine(() => false, 'must be even')
    .optional(),
});

function explained(value: unknown): string[] {
  const parsed = schema.safeParse(value);
  return parsed.success ? [] : explainIssues(parsed.error, value).map(({ path, message }) => `${path}: ${message}`);
}

describe('an explanation', () => {
  test('names the path, what was expected and what was there', () => {
    const circular: Record<string, unknown> = {};
    circular['self'] = circular;
    const values: readonly unknown[] = [
      undefined,
      null,
      [],
      ['name'],
      7,
      true,
      'a text',
      Symbol('s'),
      () => 1,
      10n,
      circular,
      {},
      { name: 5 },
      { name: { a: 1, b: 2, c: 3, d: 4, e: 5, f: 6 } },
      { name: '' },
      { name: 'toolong' },
      { name: 'x'.repeat(200) },
      { name: 'ab', count: 0 },
      { name: 'ab', count: 10 },
      { name: 'ab', count: 1.5 },
      { name: 'ab', count: -Infinity },
      { name: 'ab', kind: 'c' },
      { name: 'ab', version: 2 },
      { name: 'ab', table: { A1: true } },
      { name: 'ab', table: { a: 'yes' } },
      { name: 'ab', list: {} },
      { name: 'ab', list: ['x', 5] },
      { name: 'ab', at: 'yesterday' },
      { name: 'ab', odd: '1' },
      { name: 'ab', extra: 1, more: 2 },
      { name: 'ab', ['k'.repeat(100)]: 1 },
    ];
    expectGolden(import.meta.url, 'explain.txt', values.flatMap(explained).join('\n'));
  });

  test('holds no half characters, whatever was sent: Temporal refuses a failure that does', () => {
    const values = [
      { name: `${'x'.repeat(75)}\u{1f418}${'y'.repeat(20)}` },
      { name: 'ab', '\ud800': 1 },
      { name: '\udc00x' },
    ];
    for (const text of values.flatMap(explained)) expect(text).not.toMatch(/\p{Cs}/u);
  });

  test('on one line names the first ten findings and how many more there are', () => {
    const value = {
      name: 'ab',
      ...Object.fromEntries(Array.from({ length: 1000 }, (_, index) => [`x${String(index)}`, 1])),
    };
    const parsed = schema.safeParse(value);
    const text = parsed.success ? '' : explainShortly(parsed.error, value);
    expect(text.split('; ')).toHaveLength(21);
    expect(text).toMatch(/^x0: is not a known member.*; x9: [^;]*; [^;]*; and 990 more$/);
  });

  test('on one line of few findings has nothing more to say', () => {
    const parsed = schema.safeParse({});
    expect(parsed.success ? '' : explainShortly(parsed.error, {})).toBe('name: expected string, found nothing');
  });
});

describe('looking up a path', () => {
  test('finds what is there', () => {
    expect(lookUp({ a: [{ b: 5 }] }, ['a', 0, 'b'])).toBe(5);
  });

  test.each([[null], [5], ['text'], [{ a: null }], [undefined]])('finds nothing in %p', (value) => {
    expect(lookUp(value, ['a', 'b'])).toBeUndefined();
  });
});
