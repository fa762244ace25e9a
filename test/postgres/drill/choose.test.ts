import { describe, expect, test } from '@jest/globals';
import { chooseDrill, newestBase, newestLogical } from '../../../src/postgres/drill/choose.ts';
import { askedOf } from '../../../src/postgres/drill/physical.ts';
import { archive, archived, base } from '../../domain/physical-samples.ts';
import { backup, told } from '../../domain/samples.ts';

const now = new Date('2026-11-21T12:00:00Z');

describe('the backup that a drill takes', () => {
  test('is the newest good logical one of the policy', () => {
    const of = (id: string, startedAt: string, more: object = {}, verification: 'passed' | 'failed' = 'passed') => ({
      ...backup({ id, cluster: 'jigga', policy: 'daily', startedAt, ...more }, verification),
    });
    const backups = [
      of('old', '2026-11-19T02:00:00Z'),
      of('good', '2026-11-20T02:00:00Z'),
      of('damaged', '2026-11-21T02:00:00Z', {}, 'failed'),
      of('partial', '2026-11-21T03:00:00Z', { status: 'partial' }),
      of('others', '2026-11-21T04:00:00Z', { policy: 'weekly' }),
    ];
    const wanted = { cluster: 'jigga', policy: 'daily' };
    expect(newestLogical(backups, wanted).manifest.id).toBe('good');
    expect(told(() => newestLogical([], wanted))).toContain('policy daily has no backup');
  });

  test('is the newest base of the policy, but not one whose log is still on its way', () => {
    const bases = [
      base({ id: 'b1', segment: 2, at: '2026-11-20T02:00:00Z' }),
      base({ id: 'b2', segment: 9, at: '2026-11-21T11:58:00Z' }),
    ];
    const upTo = (last: number) => [archived(archive([`1:1-${String(last)}`]))];
    const wanted = { cluster: 'infra', policy: 'infra-base' };
    expect(newestBase(bases, upTo(8), wanted, now).manifest.id).toBe('b1');
    expect(newestBase(bases, upTo(9), wanted, now).manifest.id).toBe('b2');
    const later = new Date('2026-11-21T13:00:00Z');
    expect(newestBase(bases, upTo(8), wanted, later).manifest.id).toBe('b2');
    expect(told(() => newestBase(bases, [], { ...wanted, policy: 'other' }, now))).toContain('policy other');
  });
});

describe('where the drill of a base backup goes', () => {
  const b1 = base({ id: 'b1', segment: 2, at: '2026-11-20T02:00:00Z' });

  test('is the end of the archive', () => {
    const { choice, broken } = chooseDrill(b1, [b1], [archived(archive(['1:1-7']))], now);
    expect([choice.target.kind, choice.runs.at(-1)?.last, broken]).toEqual(['latest', 7n, null]);
    expect(askedOf(choice)).toMatchObject({ consistentLsn: b1.manifest.stopLsn, lastSegmentLsn: '0/7000000' });
  });

  test('without an archive is where the backup is consistent', () => {
    const alone = base({ id: 'b1', segment: 2, at: '2026-11-20T02:00:00Z', includesWal: true });
    const { choice, broken } = chooseDrill(alone, [alone], [], now);
    expect([choice.target.kind, choice.runs, broken]).toEqual(['immediate', [], null]);
    expect(askedOf(choice).lastSegmentLsn).toBeNull();
  });

  test('is there too where the archive has a hole, and the hole is told', () => {
    const holed = [archived(archive(['1:1-4,6-9']))];
    const { choice, broken } = chooseDrill(b1, [b1], holed, now);
    expect([choice.target.kind, broken]).toEqual(['immediate', expect.stringContaining('has a hole')]);
  });

  test('is nowhere when the log that makes it consistent is missing', () => {
    expect(told(() => chooseDrill(b1, [b1], [archived(archive(['1:5-9']))], now))).toContain('PlanHopeless');
  });
});
