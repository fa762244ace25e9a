import { describe, expect, test } from '@jest/globals';
import { recoveryTargetSchema } from '../../src/domain/recovery-target.ts';
import { chooseRecovery } from '../../src/domain/recovery-choice.ts';
import type { RecoveryPlanFacts } from '../../src/domain/recovery-facts.ts';
import {
  askedOf,
  hopelessOf,
  pinned,
  planRecovery,
  recoveryDigest,
  refuseHopelessRecovery,
} from '../../src/domain/recovery-plan.ts';
import { parseRecoverArgument } from '../../src/domain/recover-argument.ts';
import { renderRecoveryPlan } from '../../src/domain/render-recovery-plan.ts';
import { expectGolden } from '../golden.ts';
import { archive, archived, base, left, planFacts, recoverArgument } from './physical-samples.ts';
import { told } from './samples.ts';

const plan = (more: Partial<RecoveryPlanFacts> = {}) => planRecovery(planFacts(more));
const to = (target: unknown, more: object = {}) => ({ argument: recoverArgument(target, more) });
const chosen = (more: Partial<RecoveryPlanFacts>) => {
  const { facts, estimates } = plan(more);
  const runs = estimates.walRuns.map(
    ({ timeline, first, last }) => `${String(timeline)}:${first.slice(-2)}-${last.slice(-2)}`,
  );
  return `${facts.chain.map(({ id }) => id.slice(-15, -7)).join('+')} ${runs.join(' ')}`.trim();
};

const other = '7500000000000000000';
const tablespaces = [{ name: 'fast', oid: 16_500, location: '/mnt/ssd/fast' }];
const withTablespace = (): Partial<RecoveryPlanFacts> => ({
  bases: [
    base({ id: 'infra-base-20261121-020000', segment: 9, at: '2026-11-21T02:00:05.000Z', more: { tablespaces } }),
  ],
});
const days = (...list: readonly [segment: number, day: number, more?: object][]) =>
  list.map(([segment, day, more]) =>
    base({
      id: `infra-base-202611${String(day)}-020000`,
      segment,
      at: `2026-11-${String(day)}T02:00:05.000Z`,
      ...more,
    }),
  );

/** Timeline 1 was left in segment 8 for timeline 2; 1 went on to 12. */
const branched = (): Partial<RecoveryPlanFacts> => ({
  bases: days([3, 18], [10, 20], [14, 21, { timeline: 2 }]),
  archives: [
    archived(archive(['1:2-12', '2:8-20'], { 2: [left(1, 8)] }), {
      '1:12': '2026-11-20T03:00:00Z',
      '2:20': '2026-11-21T12:00:00Z',
    }),
  ],
});
const holed = (): Partial<RecoveryPlanFacts> => ({
  bases: days([3, 18], [12, 20]),
  archives: [archived(archive(['1:2-7,10-20']), { '1:7': '2026-11-19T00:00:00Z', '1:20': '2026-11-21T12:00:00Z' })],
});
const chained = (): Partial<RecoveryPlanFacts> => ({
  bases: days(
    [3, 18],
    [6, 19, { parent: 'infra-base-20261118-020000' }],
    [9, 20, { parent: 'infra-base-20261119-020000' }],
  ),
});

const onVolume = (more: Partial<NonNullable<RecoveryPlanFacts['workload']>> = {}): Partial<RecoveryPlanFacts> => ({
  ...to({ time: '2026-11-21T05:00:00Z' }, { inPlace: true }),
  place: { directory: '/bitnami/postgresql/data', state: 'occupied', freeBytes: 50_000_000_000 },
  workload: {
    ...{ namespace: 'infra', name: 'postgres', replicas: 1, claim: 'data-postgres-0', node: 'node-1', leftBy: null },
    ...{ mountPath: '/bitnami/postgresql', subPath: null, dataDirectory: '/bitnami/postgresql/data' },
    ...{ user: null, fsGroup: 1001 },
    volume: { owner: { uid: 1001, gid: 1001 }, mayMakeBeside: true, walElsewhere: false },
    ...more,
  },
});

describe('the choice', () => {
  test.each<[string, Partial<RecoveryPlanFacts>, string]>([
    ['latest: the newest base, and WAL to the end', {}, '20261121 1:09-0E'],
    ['immediate: the newest base, and what makes it consistent', to('immediate'), '20261121 1:09-09'],
    [
      'a time: the newest base before it, and WAL until it is passed',
      to({ time: '2026-11-20T19:00:00Z' }),
      '20261120 1:03-08',
    ],
    ['the very moment at which a base was consistent', to({ time: '2026-11-21T02:00:05Z' }), '20261121 1:09-0E'],
    ['a microsecond before that', to({ time: '2026-11-21T02:00:04.999999Z' }), '20261120 1:03-0E'],
    ['a time in another zone', to({ time: '2026-11-21T11:00:04+09:00' }), '20261120 1:03-0E'],
    ['a place: the newest base before it, and WAL up to it', to({ lsn: '0/8000100' }), '20261120 1:03-08'],
    ['the place at which a base is consistent', to({ lsn: '0/9000158' }), '20261121 1:09-09'],
    ['a byte before that', to({ lsn: '0/9000157' }), '20261120 1:03-09'],
    ['a name: the oldest base that leads on', to({ name: 'before-migration' }), '20261120 1:03-0E'],
    ['a transaction that nobody can date: the oldest too', to({ xid: '1234' }), '20261120 1:03-0E'],
    ['a base that was asked for', to({ name: 'x' }, { backup: 'infra-base-20261121-020000' }), '20261121 1:09-0E'],
    [
      'an older base for a later time',
      to({ time: '2026-11-21T10:00:00Z' }, { backup: 'infra-base-20261120-020000' }),
      '20261120 1:03-0E',
    ],
    ['increments: the whole chain', { ...chained(), ...to('immediate') }, '20261118+20261119+20261120 1:09-09'],
    ['the newest timeline, around a branch', { ...branched(), ...to('latest') }, '20261121 2:0E-14'],
    ['across a switch', { ...branched(), ...to({ lsn: '0/9000000' }) }, '20261118 1:03-07 2:08-09'],
    [
      'the branch that was left, where it is named',
      { ...branched(), ...to({ latest: true, timeline: 1 }) },
      '20261120 1:0A-0C',
    ],
    ['a time before a gap', { ...holed(), ...to({ time: '2026-11-18T20:00:00Z' }) }, '20261118 1:03-07'],
    [
      'a base that holds its WAL, and WAL from its last segment on',
      { bases: days([3, 18, { segments: 3, includesWal: true }]), archives: [archived(archive(['1:5-9']))] },
      '20261118 1:05-09',
    ],
    [
      'a base that holds its WAL, and no archive',
      { bases: days([3, 18, { includesWal: true, timeline: 2 }]), archives: [] },
      '20261118',
    ],
  ])('for %s', (_, facts, expected) => {
    expect(chosen(facts)).toBe(expected);
  });

  test('for a transaction begins with the newest base that ended before it began, where bases tell', () => {
    const bases = days(
      [3, 18, { more: { nextXid: '4294967400' } }],
      [6, 19, { more: { nextXid: '4294968000' } }],
      [9, 20, { more: { nextXid: '4294969000' } }],
    );
    expect(chosen({ bases, ...to({ xid: '4294968500' }) })).toBe('20261119 1:06-0E');
    // 32 bits, as pg_waldump shows it: 4294968500 without its epoch
    expect(chosen({ bases, ...to({ xid: '1204' }) })).toBe('20261119 1:06-0E');
    expect(chosen({ bases, ...to({ xid: '50' }) })).toBe('20261118 1:03-0E');
  });

  test('takes the backups of the server as it is now, and those of its past where it has none', () => {
    const bases = [...days([3, 18]), ...days([5, 19, { systemIdentifier: other }])];
    const archives = [archived(archive(['1:2-9'])), archived(archive(['1:2-9'], {}, other))];
    const facts = planFacts({ bases, archives });
    const of = (systemIdentifier: string | null) =>
      chooseRecovery({ ...facts, systemIdentifier }).track.archive.systemIdentifier;
    expect([of(other), of(facts.live?.systemIdentifier ?? ''), of(null), of('1')]).toEqual([
      other,
      facts.live?.systemIdentifier,
      other,
      other,
    ]);
  });
});

describe('a recovery that can’t be', () => {
  test('is refused before anything is touched, with what is in the way and what is possible', () => {
    const cases: readonly (readonly [string, Partial<RecoveryPlanFacts>])[] = [
      ['no base backup at all', { bases: [] }],
      ['a backup that isn’t there', to('latest', { backup: 'gone' })],
      ['a time before the first base', to({ time: '2026-11-19T00:00:00Z' })],
      ['a time after the archive’s end', to({ time: '2026-11-21T12:02:00Z' })],
      ['a time in the future', to({ time: '2027-11-21T12:02:00Z' })],
      ['a place before the first base', to({ lsn: '0/3000028' })],
      ['a place after the archive’s end', to({ lsn: '0/F000000' })],
      ['an unknown timeline', to({ latest: true, timeline: 7 })],
      [
        'a timeline without its history',
        { ...to({ latest: true, timeline: 2 }), archives: [archived(archive(['1:2-14', '2:14-16']))] },
      ],
      [
        'a base of the branch that was left',
        { ...branched(), ...to('latest', { backup: 'infra-base-20261120-020000' }) },
      ],
      ['bases that all end after the branch point', { ...branched(), bases: days([10, 20]), ...to('latest') }],
      [
        'a base of a later timeline than the target',
        { ...branched(), ...to({ latest: true, timeline: 1 }, { backup: 'infra-base-20261121-020000' }) },
      ],
      ['a hole before a time', { ...holed(), ...to({ time: '2026-11-19T20:00:00Z' }) }],
      ['a hole before a place', { ...holed(), ...to({ lsn: '0/B000000' }) }],
      ['a hole before the end', { ...holed(), bases: days([3, 18]), ...to('latest') }],
      [
        'a chain whose middle is missing',
        {
          bases: chained().bases?.filter((_, index) => index !== 1) ?? [],
          ...to('latest', { backup: 'infra-base-20261120-020000' }),
        },
      ],
      [
        'a chain whose full backup is damaged',
        {
          bases:
            chained().bases?.map((one, index) => (index === 0 ? { ...one, verification: 'failed' as const } : one)) ??
            [],
        },
      ],
      [
        'a place before the consistency of the base that was asked for',
        to({ lsn: '0/8000000' }, { backup: 'infra-base-20261121-020000' }),
      ],
      [
        'a base whose own WAL is missing',
        { bases: days([3, 18, { segments: 4 }]), archives: [archived(archive(['1:2-4,6-9']))] },
      ],
    ];
    const texts = cases.map(([name, facts]) => `${name}\n${told(() => plan(facts))}`);
    for (const text of texts) expect(text).not.toContain('nothing was thrown');
    expectGolden(import.meta.url, 'recovery-refusals.txt', texts.join('\n'));
  });

  test('for what this machine lacks is told all at once', () => {
    const facts: Partial<RecoveryPlanFacts> = {
      ...withTablespace(),
      argument: recoverArgument('latest', { tablespaces: { slow: '/mnt/hdd/slow' } }),
      majors: [15],
      place: { directory: '/srv/full', state: 'occupied', freeBytes: 1_000_000 },
      port: { number: 5433, free: false },
    };
    expect(hopelessOf(plan(facts))).toHaveLength(6);
    expectGolden(
      import.meta.url,
      'recovery-hopeless.txt',
      told(() => {
        refuseHopelessRecovery(plan(facts));
      }),
    );
    expect(
      told(() => {
        refuseHopelessRecovery(plan());
      }),
    ).toBe('nothing was thrown\n');
  });

  test.each([
    ['the live tablespace', { fast: '/mnt/ssd/fast' }],
    ['a directory in the live tablespace', { fast: '/mnt/ssd/fast/copy' }],
    ['the live data directory', { fast: '/var/lib/postgresql/17/main/fast' }],
    ['the copy’s data directory', { fast: '/srv/recovered/infra-a1b2c3d4/fast' }],
  ])('would put a tablespace into %s', (_, mapping) => {
    const found = hopelessOf(plan({ ...withTablespace(), ...to('latest', { tablespaces: mapping }) }));
    expect(found.map(({ what }) => what)).toEqual([expect.stringContaining("tablespace 'fast' would go to")]);
  });
});

describe('a plan', () => {
  const hostile = "evil`\n\n### Steps\n- done \u001b[2J\u202e'";
  test.each<[string, Partial<RecoveryPlanFacts>]>([
    ['latest-beside', {}],
    ['time-across-a-switch', { ...branched(), ...to({ time: '2026-11-20T20:00:00+09:00' }) }],
    ['increments', { ...chained(), ...to('immediate') }],
    [
      'in-place',
      {
        ...withTablespace(),
        ...to({ time: '2026-11-21T05:00:00Z' }, { inPlace: true }),
        place: { directory: '/var/lib/postgresql/17/main', state: 'occupied', freeBytes: 50_000_000_000 },
        port: { number: 5432, free: false },
      },
    ],
    [
      'in-place-of-a-server-that-is-down',
      {
        ...to('latest', { inPlace: true }),
        live: null,
        place: { directory: '/var/lib/postgresql/17/main', state: 'unknown', freeBytes: null },
        bytesPerSecond: null,
      },
    ],
    [
      'with-everything-to-know',
      {
        ...withTablespace(),
        ...to({ name: hostile.replaceAll(/\p{Cc}/gu, ' ') }, { tablespaces: { fast: '/srv/fast' } }),
        tablespaces: { fast: { directory: '/srv/fast', state: 'absent', freeBytes: null } },
        collationVersions: { 'libc en_US.UTF-8': '2.41' },
        live: { ...(planFacts().live ?? never()), systemIdentifier: other },
        repository: hostile,
      },
    ],
    ['in-place-of-a-statefulset', onVolume()],
    [
      'in-place-of-a-statefulset-hopeless',
      {
        ...withTablespace(),
        ...onVolume({
          dataDirectory: '/data',
          mountPath: '/data',
          leftBy: 'recover/infra/0',
          volume: { owner: { uid: 0, gid: 0 }, mayMakeBeside: false, walElsewhere: true },
        }),
        place: { directory: '/data', state: 'unknown', freeBytes: 1000 },
      },
    ],
    ['hopeless', { majors: [], place: { directory: '/srv/full', state: 'occupied', freeBytes: 1000 } }],
  ])('for %s is told in words and numbers', (name, facts) => {
    expectGolden(import.meta.url, `recovery-plan-${name}.md`, renderRecoveryPlan(plan(facts)));
  });

  test('is JSON, and has the same digest when it is made again from that', () => {
    const made = plan(branched());
    const read = JSON.parse(JSON.stringify(made)) as typeof made;
    expect(read).toEqual(made);
    expect(recoveryDigest(read)).toBe(recoveryDigest(made));
  });

  test('keeps its digest while the archive grows and time goes by, and gets another for another base', () => {
    const grown: Partial<RecoveryPlanFacts> = {
      archives: [archived(archive(['1:2-40']))],
      now: new Date('2026-11-22T12:04:00Z'),
    };
    expect(recoveryDigest(plan(grown))).toBe(recoveryDigest(plan()));
    const more = { bases: [...planFacts().bases, ...days([30, 22])], ...grown };
    expect(recoveryDigest(plan(more))).not.toBe(recoveryDigest(plan()));
    const again = parseRecoverArgument(JSON.parse(JSON.stringify(pinned(planFacts().argument, plan()))));
    expect(recoveryDigest(plan({ ...more, argument: again }))).toBe(recoveryDigest(plan()));
  });

  test('tells what is asked for, to be compared with what is reached', () => {
    const target = recoveryTargetSchema.parse({ latest: true, timeline: 1 });
    expect(askedOf(plan())).toEqual({
      target,
      path: [{ timeline: 1, from: 0n, to: null }],
      consistentLsn: '0/9000158',
      lastSegmentLsn: '0/E000000',
    });
  });
});

function never(): never {
  throw new Error('no live server in the sample');
}
