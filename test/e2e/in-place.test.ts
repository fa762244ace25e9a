import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../src/workflows/recover-run.ts';
import { planOf, startInPlace, words, type InPlace } from './in-place-cluster.ts';
import { expectClean } from './oracle.ts';
import { leftOfRecoveries, note, recover, recoverTo, untilArchived } from './recovering.ts';
import { backUp, failureOf, untilDecision } from './runs.ts';

describe('a recovery in the place of a cluster', () => {
  let cluster: InPlace;

  beforeAll(async () => {
    cluster = await startInPlace();
  });
  afterAll(() => cluster.stop());

  test('stops nothing before it is approved, and nothing at all when it is rejected', async () => {
    const { world, server, first, asides } = cluster;
    const startedAt = () => server.psql('postgres', 'SELECT pg_postmaster_start_time()');
    const before = await startedAt();
    const handle = await recover(world, { lsn: first.lsn }, { inPlace: true });
    const { plan, planDigest } = await untilDecision<RecoveryPlan>(handle);
    expect(plan?.facts.replaces).toMatchObject({ directory: server.dataDir });
    expect(await startedAt()).toBe(before);
    await handle.signal('reject', planOf(planDigest));
    expect((await failureOf(handle)).type).toBe('Rejected');
    expect(await startedAt()).toBe(before);
    expect(await asides()).toEqual([]);
  });

  test('that is thrown away brings the old state back', async () => {
    const { server, notes, asides } = cluster;
    const copy = await cluster.recovered();
    expect(await copy.notes()).toBe('first');
    expect(await asides()).not.toEqual([]);
    expect(await copy.throwAway()).toMatchObject({ outcome: 'thrown away', directory: server.dataDir });
    expect(await notes()).toBe('first,second');
    expect(await asides()).toEqual([]);
  });

  test('that is promoted and released is the cluster from then on, and is archived on', async () => {
    const { world, server, notes, asides } = cluster;
    const copy = await cluster.promoted();
    await note(server, 'new');
    expect(await notes()).toBe('first,new');
    await copy.handle.signal('release', words);
    expect(((await copy.handle.result()) as RecoverResult).outcome).toBe('released');
    expect(await asides()).toEqual([]);
    await untilArchived(world, server);
    const beside = await recoverTo(world, 'latest');
    expect(await beside.notes()).toBe('first,new');
    await beside.throwAway();
  });

  test('that is promoted and undone brings the old state back, which is archived on', async () => {
    const { world, server, notes, asides } = cluster;
    const copy = await cluster.promoted();
    expect(await notes()).toBe('first');
    // It may wait for days: meanwhile backups of the cluster are taken.
    expect((await backUp(world, 'base')).status).toBe('complete');
    await note(server, 'in vain');
    await untilArchived(world, server);
    await copy.handle.signal('undo', words);
    expect(((await copy.handle.result()) as RecoverResult).outcome).toBe('undone');
    expect(await notes()).toBe('first,new');
    expect(await asides()).toEqual([]);
    expect(await leftOfRecoveries(world)).toEqual([]);
    // The archive knows a newer timeline by now; what is meant is the one that the server is on again.
    await note(server, 'after');
    await untilArchived(world, server);
    const beside = await recoverTo(world, 'latest');
    expect(await beside.notes()).toBe('first,new,after');
    await beside.throwAway();
    await world.client.workflow.getHandle('wal/main').cancel();
    await expectClean(world, server);
  });
});
