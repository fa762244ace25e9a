import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson, digestOf, sha256Hex, type Json } from '../../src/domain/canonical.ts';

function shuffled(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shuffled);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, member]) => [key, shuffled(member)]),
  );
}

describe('canonical JSON', () => {
  test('sorts keys at every depth and holds no white space', () => {
    expect(canonicalJson({ b: [{ z: 1, a: null }], a: { d: true, c: 'x y' } })).toBe(
      '{"a":{"c":"x y","d":true},"b":[{"a":null,"z":1}]}',
    );
  });

  test('leaves out what is undefined, as JSON does', () => {
    expect(canonicalJson({ a: undefined, b: { c: undefined } })).toBe('{"b":{}}');
  });

  test('sorts by UTF-16 units, as RFC 8785 does, and keeps every character', () => {
    expect(canonicalJson({ '\u{1f418}': 1, '\ufb33': 2, é: 3, a: 4, A: 5, '10': 6, '9': 7 })).toBe(
      '{"10":6,"9":7,"A":5,"a":4,"é":3,"\u{1f418}":1,"\ufb33":2}',
    );
    expect(canonicalJson('quote " newline \n NUL \0 half \ud800')).toBe(
      '"quote \\" newline \\n NUL \\u0000 half \\ud800"',
    );
  });

  test.each<[Json, string]>([
    [[], '[]'],
    [{}, '{}'],
    [null, 'null'],
    [-0, '0'],
    [1e21, '1e+21'],
    [[[1], [2, [3]]], '[[1],[2,[3]]]'],
  ])('of %p is %s', (value, text) => {
    expect(canonicalJson(value)).toBe(text);
  });

  test('means what the value means, and doesn’t depend on the order of members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const text = canonicalJson(value);
        expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(value)));
        expect(canonicalJson(shuffled(JSON.parse(text)) as Json)).toBe(text);
      }),
    );
  });
});

describe('a digest', () => {
  test('is the SHA-256 of the canonical text', () => {
    const value = { b: 1, a: 'é' };
    expect(digestOf(value)).toBe(createHash('sha256').update('{"a":"é","b":1}').digest('hex'));
  });

  test('of a text is that of its UTF-8 bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(sha256Hex(text)).toBe(createHash('sha256').update(text, 'utf8').digest('hex'));
      }),
    );
  });

  test('differs where the value does', () => {
    expect(digestOf({ a: 1 })).not.toBe(digestOf({ a: '1' }));
    expect(digestOf({ a: [] })).not.toBe(digestOf({ a: {} }));
  });
});
