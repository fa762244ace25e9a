import { describe, expect, test } from '@jest/globals';
import { storeOf } from '../../src/domain/cnpg-definition.ts';
import type { CnpgRecoveryPlan } from '../../src/domain/cnpg-recovery-facts.ts';
import {
  cnpgRecoveryDigest,
  planCnpgRecovery,
  recoveredName,
  refuseHopelessCnpgRecovery,
  type CnpgPlanInput,
} from '../../src/domain/cnpg-recovery-plan.ts';
import { renderCnpgRecoveryPlan } from '../../src/domain/render-cnpg-recovery.ts';
import { expectGolden } from '../golden.ts';
import { cnpgBase, cnpgInput, cnpgWal, definition, inTreeSpec, pluginSpec } from './cnpg-samples.ts';
import { told } from './samples.ts';

const afternoon = { time: '2026-11-21T20:00:00.123456+09:00' };
const objectsOf = ({ facts }: CnpgRecoveryPlan) =>
  JSON.stringify({ created: facts.makes.object, kept: facts.makes.kept }, null, 2);
const snapshots = [
  { name: 'logto-1', role: 'data', tablespace: null },
  { name: 'logto-1-wal', role: 'wal', tablespace: null },
  { name: 'logto-1-archive', role: 'tablespace', tablespace: 'archive' },
] as const;
const snapshot = { id: null, object: 'logto-snapshot-20261121-030000', snapshots };
const plugin = (): Partial<CnpgPlanInput> => ({ definition: definition(pluginSpec) });

describe('the new Cluster of a recovery', () => {
  const bare = { ...inTreeSpec, backup: undefined };
  test.each<[string, CnpgPlanInput]>([
    ['in-tree', cnpgInput(afternoon)],
    ['plugin', cnpgInput({ lsn: '0/A000100', inclusive: false }, plugin())],
    [
      'snapshot',
      cnpgInput(
        { xid: '81234' },
        { bases: [cnpgBase(21, 9, snapshot)] },
        { backup: snapshot.object, into: { instances: 1 } },
      ),
    ],
    [
      'snapshot-alone',
      cnpgInput(
        'latest',
        { definition: definition(bare), store: null, wal: null, bases: [cnpgBase(21, 9, snapshot)] },
        { into: { name: 'logto-again', storage: { size: '30Gi', storageClass: 'slow' } } },
      ),
    ],
  ])('%s: what is created, what keeping it changes, and the plan', (name, input) => {
    const plan = planCnpgRecovery(input);
    expectGolden(import.meta.url, `cnpg-recovery-${name}.json`, objectsOf(plan));
    expectGolden(import.meta.url, `cnpg-recovery-${name}.md`, renderCnpgRecoveryPlan(plan));
  });

  test('of one that is gone says where what it was is taken from', () => {
    const plan = planCnpgRecovery(cnpgInput('immediate', { uid: null }));
    expectGolden(import.meta.url, 'cnpg-recovery-gone.md', renderCnpgRecoveryPlan(plan));
  });

  test('never archives under the name that its source archives under', () => {
    for (const serverName of ['logto-postgres', 'origin', 'logto-again']) {
      const backup = { barmanObjectStore: { destinationPath: 's3://b/', serverName } };
      const source = definition({ ...inTreeSpec, backup });
      const input = cnpgInput(
        'latest',
        { definition: source, store: storeOf(source, () => null) },
        { into: { name: 'logto-again' } },
      );
      const { facts, obstacles } = planCnpgRecovery(input);
      expect(facts.makes.keptServerName).toBe('logto-again');
      expect(JSON.stringify(facts.makes.object)).not.toContain('"backup"');
      expect(obstacles.some(({ weight }) => weight === 'hopeless')).toBe(serverName === 'logto-again');
    }
  });

  test('is called after its source and the run, and fits the 50 characters that CloudNativePG takes', () => {
    const { argument } = cnpgInput('latest');
    expect(recoveredName(argument, 'logto', '1a2b3c4d')).toBe('logto-recovered-1a2b3c4d');
    const long = recoveredName(argument, 'a-cluster-with-a-name-of-more-than-fifty-characters', '1a2b3c4d');
    expect(long).toBe('a-cluster-with-a-name-of-more-t-recovered-1a2b3c4d');
    expect(long.length).toBeLessThanOrEqual(50);
  });

  test('has a digest that stays the same while the archive grows', () => {
    const digest = (more: Partial<CnpgPlanInput>) => cnpgRecoveryDigest(planCnpgRecovery(cnpgInput(afternoon, more)));
    const grown = cnpgWal({ 1: [4, 5, 6, 7, 8, 9, 10, 11] }, { '1:11': '2026-11-21T13:00:00.000Z' });
    expect(digest({ wal: grown })).toBe(digest({}));
    expect(digest({ uid: null })).not.toBe(digest({}));
  });
});

describe('a recovery', () => {
  const chosen = (target: unknown, more: Partial<CnpgPlanInput> = {}, argument: object = {}) => {
    const { facts } = planCnpgRecovery(cnpgInput(target, more, argument));
    return `${facts.base.id ?? facts.base.object ?? ''} on ${String(facts.target.timeline)}`;
  };

  test.each([
    ['the newest base backup that had ended by a time', { time: '2026-11-21T02:00:18.789Z' }, '20261120T020000 on 1'],
    ['also when it ended right then', { time: '2026-11-21T02:00:18.790Z' }, '20261121T020000 on 1'],
    ['the newest that is consistent at a place', { lsn: '0/9000157' }, '20261120T020000 on 1'],
    ['also right there', { lsn: '0/9000158' }, '20261121T020000 on 1'],
    ['the newest for everything that is archived', 'latest', '20261121T020000 on 1'],
    ['the newest for a transaction', { xid: 81_234 }, '20261121T020000 on 1'],
  ])('begins with %s', (_, target, base) => {
    expect(chosen(target)).toBe(base);
  });

  test('begins with the backup that was asked for, by either of its names', () => {
    expect(chosen({ name: 'before' }, {}, { backup: '20261120T020000' })).toBe('20261120T020000 on 1');
    expect(chosen({ name: 'before' }, {}, { backup: 'logto-prod-20261120-020000' })).toBe('20261120T020000 on 1');
  });

  test('takes a volume snapshot only where it was asked for, or there is nothing else', () => {
    const bases = [cnpgBase(20, 4), cnpgBase(21, 9, snapshot)];
    expect(chosen('latest', { bases })).toBe('20261120T020000 on 1');
    expect(chosen('latest', { bases }, { backup: snapshot.object })).toBe(`${snapshot.object} on 1`);
  });

  test('follows the timelines: a base on one that was left leads on to the next up to there', () => {
    const wal = cnpgWal(
      { 1: [4, 5, 6, 7, 8, 9, 10], 2: [8, 9, 10, 11] },
      { '2:11': '2026-11-21T12:00:00.000Z' },
      { 2: [[1, 0x8000200n]] },
    );
    const bases = [cnpgBase(20, 4), cnpgBase(21, 9)];
    expect(chosen('latest', { wal, bases })).toBe('20261120T020000 on 2');
    expect(chosen({ latest: true, timeline: 1 }, { wal, bases })).toBe('20261121T020000 on 1');
  });

  test('goes by Backup objects and the primary where the store can’t be read, and says so', () => {
    const live = {
      systemIdentifier: '7710757928562806804',
      lastArchivedWal: '000000010000000000000014',
      lastArchivedAt: '2026-11-21T12:00:00.000Z',
    };
    const bases = [cnpgBase(21, 9, { systemIdentifier: null, segmentBytes: null, dataBytes: null })];
    const unread: Partial<CnpgPlanInput> = {
      wal: null,
      bases,
      live,
      unknown: ['the object store was not read from here'],
    };
    expectGolden(
      import.meta.url,
      'cnpg-recovery-unread.md',
      renderCnpgRecoveryPlan(planCnpgRecovery(cnpgInput(afternoon, unread))),
    );
    expect(told(() => planCnpgRecovery(cnpgInput({ time: '2026-11-21T12:00:01Z' }, unread)))).toContain(
      'is after the last possible moment',
    );
  });

  const holed = cnpgWal(
    { 1: [4, 5, 6, 9, 10, 12] },
    { '1:6': '2026-11-20T12:00:00.000Z', '1:10': '2026-11-21T03:00:00.000Z' },
  );
  test('is refused with what is possible where its target can’t be reached', () => {
    const cases: readonly (readonly [string, CnpgPlanInput])[] = [
      ['no base backup', cnpgInput('latest', { bases: [] })],
      ['before the first', cnpgInput({ time: '2026-11-20T02:00:00Z' })],
      ['after the last', cnpgInput({ time: '2026-11-21T12:00:02Z' })],
      ['in the future', cnpgInput({ time: '2026-11-22T12:00:02Z' }, { wal: null })],
      ['a place before the first', cnpgInput({ lsn: '0/4000100' })],
      ['a place after the last', cnpgInput({ lsn: '0/15000000' })],
      ['a timeline that nobody knows', cnpgInput({ latest: true, timeline: 3 })],
      ['a backup that is not there', cnpgInput('latest', {}, { backup: 'other' })],
      ['latest across a hole', cnpgInput('latest', { wal: holed })],
      ['a time behind a hole', cnpgInput({ time: '2026-11-21T05:00:00Z' }, { wal: holed })],
      ['the WAL of the base is not there', cnpgInput('latest', { wal: cnpgWal({ 1: [12, 13] }, {}) })],
    ];
    expectGolden(
      import.meta.url,
      'cnpg-recovery-refused.txt',
      cases.map(([name, input]) => `${name}: ${told(() => planCnpgRecovery(input))}`).join('\n'),
    );
  });

  test('is hopeless, with every reason and cure at once, before anything is made', () => {
    const input = cnpgInput(
      'latest',
      {
        ...plugin(),
        taken: { cluster: true, archive: true },
        missingSecrets: ['ovh-s3-creds', 'logto-app'],
        store: { way: { kind: 'plugin', objectStore: 'logto-store' }, serverName: 'logto-postgres', barman: null },
      },
      { into: { storage: { size: '1Gi' } } },
    );
    expectGolden(
      import.meta.url,
      'cnpg-recovery-hopeless.txt',
      told(() => {
        refuseHopelessCnpgRecovery(planCnpgRecovery(input));
      }),
    );
  });
});
