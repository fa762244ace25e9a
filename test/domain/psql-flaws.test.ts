import { describe, expect, test } from '@jest/globals';
import { flawsOf, knowsFences } from '../../src/domain/psql-flaws.ts';

const cves = (version: string) => flawsOf(version).map(({ cve }) => cve);

describe('the flaws of client tools', () => {
  test('are those that a version has', () => {
    expect(cves('15.18')).toEqual(['CVE-2026-18408', 'CVE-2026-116314']);
    expect(cves('15.13')).toEqual([
      'CVE-2025-8714',
      'CVE-2025-8715',
      'CVE-2026-6475',
      'CVE-2026-6477',
      'CVE-2026-18408',
      'CVE-2026-116314',
    ]);
    expect(cves('16.3')[0]).toBe('CVE-2024-7348');
    expect(cves('18.6')).toEqual(['CVE-2026-116314']);
  });

  test.each(['14.25', '15.20', '16.16', '17.12', '18.7', '19.0', '19beta1'])('%s has none of them', (version) => {
    expect(cves(version)).toEqual([]);
  });

  test('are never mended in a major that is out of support', () => {
    expect(flawsOf('13.23').map(({ cve, fixedIn }) => [cve, fixedIn])).toEqual([
      ['CVE-2026-6475', null],
      ['CVE-2026-6477', null],
      ['CVE-2026-18408', null],
      ['CVE-2026-116314', null],
    ]);
    expect(flawsOf('9.6.24').every(({ fixedIn }) => fixedIn === null)).toBe(true);
  });

  test('name the version that is without them, and what they allow', () => {
    expect(flawsOf('17.10')[0]).toMatchObject({ cve: 'CVE-2026-18408', fixedIn: '17.11', by: 'dump' });
    for (const { what } of flawsOf('12.1')) expect(what).toMatch(/^[a-z].*[^.]$/);
  });
});

test.each([
  ['15.13', false],
  ['15.14', true],
  ['17.5', false],
  ['17.6', true],
  ['18.0', true],
  ['18', true],
  ['12.99', false],
  ['9.6.24', false],
])('%s knows fences: %s', (version, known) => {
  expect(knowsFences(version)).toBe(known);
});
