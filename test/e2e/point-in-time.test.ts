import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { PostgresMajor, PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../src/workflows/recover-run.ts';
import { expectClean } from './oracle.ts';
import {
  copyOf,
  leftOfRecoveries,
  note,
  recover,
  recoverTo,
  startArchive,
  startArchiving,
  stopArchiving,
  stopInstance,
  untilArchived,
  type Moment,
} from './recovering.ts';
import { backUp, failureOf, untilProgress } from './runs.ts';

describe.each<PostgresMajor>([15, 17])('recovery to a point in time on PostgreSQL %i', (major) => {
  let world: World;
  let server: PostgresServer;
  let base: string;
  let first: Moment;
  let second: Moment;
  let beforeBase: Moment;

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major }));
    beforeBase = await note(server, 'before');
    await server.psql('postgres', 'TRUNCATE notes');
    await world.startWorker();
    await startArchive(world);
    base = (await backUp(world, 'base')).id;
    first = await note(server, 'first');
    await server.psql('postgres', "SELECT pg_create_restore_point('before the second')");
    second = await note(server, 'second');
    await note(server, 'third');
    await untilArchived(world, server);
  });
  afterAll(() => stopArchiving({ world }));

  const targets: readonly [what: string, target: () => object | string, expected: string][] = [
    ['a time between two transactions', () => ({ time: first.at }), 'first'],
    ['the place where a transaction ended', () => ({ lsn: first.lsn }), 'first'],
    ['a transaction', () => ({ xid: second.xid }), 'first,second'],
    ['just before the end of a transaction', () => ({ xid: second.xid, inclusive: false }), 'first'],
    ['a restore point', () => ({ name: 'before the second' }), 'first'],
    ['the moment at which the base backup is consistent', () => 'immediate', ''],
    ['the end of the archive', () => 'latest', 'first,second,third'],
  ];

  test.each(targets)('to %s brings back exactly what was there', async (_, target, expected) => {
    const copy = await recoverTo(world, target());
    expect(await copy.notes()).toBe(expected);
    expect(await copy.ask('SELECT pg_is_in_recovery()')).toBe('t');
    expect(await copy.ask('SHOW archive_mode')).toBe('off');
    expect(await copy.throwAway()).toMatchObject({ outcome: 'thrown away', base });
    expect(await leftOfRecoveries(world)).toEqual([]);
  });

  test('goes on to later targets, is promoted, and takes writes that its source never sees', async () => {
    const copy = await recoverTo(world, { lsn: first.lsn });
    expect(await copy.notes()).toBe('first');
    await copy.handle.signal('go-on', { by: 'alice', reason: 'too early', target: { xid: second.xid } });
    await untilProgress<RecoveryPlan>(
      copy.handle,
      ({ waitingFor, steps }) => waitingFor === 'follow-up' && steps.some(({ name }) => name === 'go on'),
    );
    expect(await copy.notes()).toBe('first,second');
    await copy.handle.signal('go-on', { by: 'alice', reason: 'too early', target: 'latest' });
    await untilProgress<RecoveryPlan>(
      copy.handle,
      ({ waitingFor, steps }) =>
        waitingFor === 'follow-up' && steps.filter(({ name }) => name === 'go on').length === 2,
    );
    expect(await copy.notes()).toBe('first,second,third');
    await copy.handle.signal('promote', { by: 'alice', reason: 'the rows are there' });
    const result = (await copy.handle.result()) as RecoverResult;
    expect(result.outcome).toBe('promoted');
    expect(await copy.ask("INSERT INTO notes VALUES ('mine') RETURNING text")).toBe('mine');
    expect(await server.psql('postgres', "SELECT count(*) FROM notes WHERE text = 'mine'")).toBe('0');
    await stopInstance(server, result.directory);
  });

  test('is refused before the first and after the last possible moment, with what is possible', async () => {
    const notYet = await note(server, 'not archived');
    const far = '2199-01-01T00:00:00Z';
    const handles = await Promise.all(
      [{ time: beforeBase.at }, { lsn: beforeBase.lsn }, { time: notYet.at }, { lsn: notYet.lsn }, { time: far }].map(
        (target) => recover(world, target),
      ),
    );
    const [early, low, late, high, future] = await Promise.all(handles.map(failureOf));
    for (const failure of [early, low, late, high, future]) {
      expect(failure).toMatchObject({ type: 'PlanHopeless' });
      expect(failure?.hint).toMatch(/cluster main can be recovered from .* to .*/);
    }
    expect(early?.message).toContain(
      `the time ${beforeBase.at} is before the first possible moment: base backup '${base}'`,
    );
    expect(low?.message).toContain(`the place ${beforeBase.lsn} is before the first possible one`);
    expect(late?.message).toContain(`the time ${notYet.at} is after the last possible moment`);
    expect(high?.message).toContain(`the place ${notYet.lsn} is not archived`);
    expect(future?.message).toContain(`the time ${far} is in the future`);
  });

  test('of one cluster goes on twice at once, each to its own target', async () => {
    const left = await leftOfRecoveries(world);
    const handles = await Promise.all([recover(world, { xid: first.xid }), recover(world, { xid: second.xid })]);
    const copies = await Promise.all(handles.map((handle) => copyOf(world, handle)));
    expect(await Promise.all(copies.map((copy) => copy.notes()))).toEqual(['first', 'first,second']);
    for (const copy of copies) expect((await copy.throwAway()).outcome).toBe('thrown away');
    expect(await leftOfRecoveries(world)).toEqual(left);
  });

  test('leaves no lease, no session and nothing half-made behind', async () => {
    await world.client.workflow.getHandle('wal/main').cancel();
    await expectClean(world, server);
  });
});
