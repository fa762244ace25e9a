import { expect, it } from '@jest/globals';
import { deskName, maintenanceCandidates } from '../../../src/postgres/swap/maintenance.ts';

it('a swap is ordered from the configured database, or from one that initdb made', () => {
  expect(maintenanceCandidates('holdfast', ['gatus'])).toEqual(['holdfast', 'postgres', 'template1']);
  expect(maintenanceCandidates('postgres', ['gatus'])).toEqual(['postgres', 'template1']);
});

it('it is never ordered from one of the databases that are renamed', () => {
  expect(maintenanceCandidates('gatus', ['gatus', 'gatus_new', 'gatus_old'])).toEqual(['postgres', 'template1']);
  expect(maintenanceCandidates('postgres', ['postgres', 'template1'])).toEqual([]);
});

it('attempts of one operation on the same databases know each other by name, others they do not', () => {
  const name = (operation: 'swap' | 'undo', ...oids: number[]) => deskName({ operation, oids, names: [] });
  expect(name('swap', 2, 10)).toBe(name('swap', 10, 2));
  expect(new Set([name('swap', 2, 10), name('undo', 2, 10), name('swap', 2, 11)]).size).toBe(3);
  expect(Buffer.byteLength(name('swap', 4_294_967_295, 4_294_967_294))).toBeLessThan(64);
});
