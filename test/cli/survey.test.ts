import { describe, expect, test } from '@jest/globals';
import { freshness } from '../../src/cli/freshness.ts';
import { movingText, Rate, readHeartbeat, type Moving } from '../../src/cli/moving.ts';
import { policyOfRun, policyStates, type PolicyFacts } from '../../src/cli/survey.ts';
import { parseConfig } from '../../src/domain/config.ts';
import { HoldfastError } from '../../src/domain/errors.ts';
import { base } from '../domain/physical-samples.ts';
import { backup } from '../domain/samples.ts';

const now = Date.parse('2026-11-21T12:00:00Z');
const daily = { schedule: '0 2 * * *', timezone: 'UTC' };

describe('whether a schedule is kept', () => {
  const state = (newest: string | undefined, at = now) =>
    freshness(newest === undefined ? undefined : new Date(newest), daily, at).state;

  test('a good backup of the last scheduled run is in time, an older one is overdue', () => {
    expect(state('2026-11-21T02:00:01Z')).toBe('in time');
    expect(state('2026-11-20T02:00:01Z')).toBe('overdue');
    expect(state(undefined)).toBe('overdue');
  });

  test('a scheduled backup has an hour to become one', () => {
    expect(state('2026-11-20T02:00:01Z', Date.parse('2026-11-21T02:59:59Z'))).toBe('in time');
    expect(state('2026-11-20T02:00:01Z', Date.parse('2026-11-21T03:00:01Z'))).toBe('overdue');
  });

  test('before its first run a schedule has missed nothing', () => {
    const made = (at: string, newest?: Date) => freshness(newest, daily, now, new Date(at));
    expect(made('2026-11-21T02:00:01Z').state).toBe('not due yet');
    expect(made('2026-11-21T01:59:59Z').state).toBe('overdue');
    expect(made('2026-11-21T02:00:01Z', new Date('2026-11-21T03:00:00Z')).state).toBe('in time');
  });

  test('the schedule is read in its own zone', () => {
    const tokyo = { schedule: '0 2 * * *', timezone: 'Asia/Tokyo' };
    expect(freshness(new Date('2026-11-20T16:59:00Z'), tokyo, now)).toEqual({
      state: 'overdue',
      since: new Date('2026-11-20T17:00:00Z'),
    });
  });

  test('without a schedule nothing is overdue', () => {
    expect(freshness(undefined, { timezone: 'UTC' }, now).state).toBe('not scheduled');
  });
});

describe('what protects each policy', () => {
  const config = parseConfig({
    installation: 'homelab',
    repositories: { nas: { directory: '/backup' } },
    clusters: { jigga: { server: { host: 'db' } } },
    policies: { 'jigga-daily': { cluster: 'jigga', method: 'pg_dumpall', repository: 'nas', schedule: '0 2 * * *' } },
  });
  const located = (
    id: string,
    startedAt: string,
    more: object = {},
    verification: 'passed' | 'failed' | 'none' = 'none',
  ) => ({
    repository: 'nas',
    backup: backup({ id, startedAt, ...more }, verification),
  });

  const facts = (catalogs: Partial<PolicyFacts['catalogs']>, closed: PolicyFacts['closed'] = []): PolicyFacts => ({
    catalogs: { backups: [], bases: [], unreachable: [], ...catalogs },
    schedules: new Map(),
    closed,
  });

  test('is the newest backup that is complete and undamaged', () => {
    const backups = [
      located('postgres-backup-20261121-020000', '2026-11-21T02:00:00.000Z', { status: 'partial' }),
      located('postgres-backup-20261120-020000', '2026-11-20T02:00:00.000Z', {}, 'failed'),
      located('postgres-backup-20261118-020000', '2026-11-18T02:00:00.000Z'),
      located('postgres-backup-20261119-020000', '2026-11-19T02:00:00.000Z'),
      located('other-20261121-020000', '2026-11-21T02:00:00.000Z', { policy: 'other' }),
    ];
    expect(policyStates(config, facts({ backups }), now)).toMatchObject([
      { newestGood: { id: 'postgres-backup-20261119-020000', source: 'repository' }, freshness: { state: 'overdue' } },
    ]);
  });

  test('of method base it is the newest base backup that no verification found damaged', () => {
    const physical = parseConfig({
      installation: 'homelab',
      repositories: { nas: { directory: '/backup' } },
      clusters: { infra: { server: { host: 'db' } } },
      policies: { 'infra-base': { cluster: 'infra', method: 'base', repository: 'nas' } },
    });
    const bases = [
      base({ id: 'b3', segment: 5, at: '2026-11-21T02:00:05.000Z', verification: 'failed' }),
      base({ id: 'b1', segment: 3, at: '2026-11-19T02:00:05.000Z' }),
      base({ id: 'b2', segment: 4, at: '2026-11-20T02:00:05.000Z' }),
    ].map((one) => ({ repository: 'nas', base: one }));
    expect(policyStates(physical, facts({ bases }), now)).toMatchObject([
      { newestGood: { id: 'b2', source: 'repository' } },
    ]);
  });

  test('is the newest run that succeeded where the repository is out of reach, and says so', () => {
    const run = (workflowId: string, status: string, startedAt: string) => ({
      workflowId,
      runId: 'r',
      type: 'backup',
      status,
      startedAt: new Date(startedAt),
      closedAt: undefined,
    });
    const runs = [
      run('backup/jigga-daily-2026-11-21T02:00:00Z', 'FAILED', '2026-11-21T02:00:00Z'),
      run('backup/jigga-daily-b/1a2b3c4d', 'COMPLETED', '2026-11-21T01:00:00Z'),
      run('backup/jigga-daily/1a2b3c4d', 'COMPLETED', '2026-11-20T09:00:00Z'),
    ];
    const unreachable = [{ repository: 'nas', error: new HoldfastError('StoreNotMounted', 'gone', 'mount it') }];
    expect(policyStates(config, facts({ unreachable }, runs), now)).toMatchObject([
      { newestGood: { id: 'backup/jigga-daily/1a2b3c4d', source: 'run' } },
    ]);
  });

  test('is the newest run that succeeded where CloudNativePG has taken the backup', () => {
    const byCnpg = parseConfig({
      installation: 'homelab',
      clusters: { logto: { cnpg: { namespace: 'production', name: 'logto' } } },
      policies: { logto: { cluster: 'logto', method: 'cnpg' } },
    });
    const runs = [
      {
        workflowId: 'backup/logto/1a2b3c4d',
        runId: 'r',
        type: 'backup',
        status: 'COMPLETED',
        startedAt: new Date('2026-11-20T09:00:00Z'),
        closedAt: undefined,
      },
    ];
    expect(policyStates(byCnpg, facts({}, runs), now)).toMatchObject([
      { newestGood: { id: 'backup/logto/1a2b3c4d', source: 'run' } },
    ]);
  });

  test('the policy of a run is read from its id, however it was started', () => {
    expect(policyOfRun('backup/jigga-daily-2026-11-21T02:00:00Z')).toBe('jigga-daily');
    expect(policyOfRun('backup/jigga-daily/1a2b3c4d')).toBe('jigga-daily');
    expect(policyOfRun('backup/jigga-daily')).toBeUndefined();
    expect(policyOfRun('restore/jigga/1a2b3c4d')).toBeUndefined();
  });
});

describe('bytes, rate and time left', () => {
  const moving = (bytes: number, more: Partial<Moving> = {}): Moving => ({
    activity: 'a',
    attempt: 1,
    doing: 'reading',
    bytes,
    totalBytes: 1_000_000_000,
    done: undefined,
    total: undefined,
    ...more,
  });

  test('the rate is of the last half minute', () => {
    const rate = new Rate();
    expect(rate.observe(moving(0), 0)).toBeUndefined();
    expect(rate.observe(moving(100), 10_000)).toBe(10);
    for (let second = 11; second <= 100; second += 1) rate.observe(moving(100 + (second - 10) * 50), second * 1000);
    expect(rate.observe(moving(4_650), 101_000)).toBeCloseTo(50, 0);
  });

  test('a rate sinks while nothing moves, and begins again with the next attempt', () => {
    const rate = new Rate();
    rate.observe(moving(0), 0);
    expect(rate.observe(moving(1000), 1_000)).toBe(1000);
    expect(rate.observe(moving(1000), 10_000)).toBe(100);
    expect(rate.observe(moving(5, { attempt: 2 }), 11_000)).toBeUndefined();
  });

  test('are said in one line', () => {
    expect(movingText(moving(250_000_000, { done: 1, total: 3, attempt: 2 }), 50_000_000)).toBe(
      'reading, 1 of 3, 250 MB of 1.0 GB, 50 MB/s, about 15 s left, attempt 2',
    );
    expect(movingText(moving(0, { totalBytes: 0 }), undefined)).toBe('reading, 0 B');
  });

  test('a heartbeat of anybody is readable', () => {
    const read = (heartbeat: unknown) => readHeartbeat({ activity: 'takeBackup', attempt: 1, heartbeat });
    const nothing = { activity: 'takeBackup', attempt: 1 };
    for (const odd of [undefined, null, 7, 'text', [], { bytes: 'many', doing: 3, total: -1, done: Number.NaN }])
      expect(read(odd)).toEqual(nothing);
    expect(read({ doing: 'dump', bytes: 7 })).toMatchObject({ doing: 'dump', bytes: 7 });
  });
});
