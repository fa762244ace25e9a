import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../src/workflows/recover-run.ts';
import { startInPlace, words, type InPlace } from './in-place-cluster.ts';
import { leftOfRecoveries } from './recovering.ts';
import { untilProgress } from './runs.ts';

describe('a worker that is killed in the middle of a recovery in place', () => {
  let cluster: InPlace;

  beforeAll(async () => {
    cluster = await startInPlace();
    // One of another site lives on: there is always somebody to answer for the runs.
    await cluster.world.startWorker({ args: ['--site', 'elsewhere'] });
    await cluster.worker.end();
  });
  afterAll(() => cluster.stop());

  /** Workers of the cluster's site that die at these places, in this order; then one that lives until `during` is over. */
  async function dying<T>([failpoint, ...later]: readonly string[], during: () => Promise<T>): Promise<T> {
    const { world } = cluster;
    const doomed = (at: string) => world.startWorker({ failpoints: `${at}=kill` });
    // The first is there before there is anything to do: what is to do is done at once, and it dies of that. The next
    // one has the time that it takes until Temporal misses the one before.
    const first = failpoint === undefined ? undefined : await doomed(failpoint);
    const working = during();
    working.catch(() => undefined);
    await first?.ended();
    for (const at of later) await (await doomed(at)).ended();
    const rescuer = await world.startWorker();
    try {
      return await working;
    } finally {
      await rescuer.end();
    }
  }

  test('while it stops the server and puts it aside, another goes on, and nothing of the old state is lost', async () => {
    const { notes, asides } = cluster;
    const places = ['in place:stop', 'in place:stopped', 'in place:aside'];
    const copy = await dying(places, () => cluster.recovered());
    expect(await copy.notes()).toBe('first');
    expect(await asides()).not.toEqual([]);
    const thrown = await dying(['in place:put back'], () => copy.throwAway());
    expect(thrown).toMatchObject({ outcome: 'thrown away' });
    expect(await notes()).toBe('first,second');
    expect(await asides()).toEqual([]);
  });

  test('while it hands the copy over and removes the old state, another finishes that', async () => {
    const { world, notes, asides } = cluster;
    const copy = await dying([], () => cluster.recovered());
    await dying(['in place:handed over'], async () => {
      await copy.handle.signal('promote', words);
      await untilProgress<RecoveryPlan>(
        copy.handle,
        ({ waitingFor, followUps }) => waitingFor === 'follow-up' && followUps.includes('release'),
      );
    });
    expect(await notes()).toBe('first');
    const result = await dying(['in place:release'], async () => {
      await copy.handle.signal('release', words);
      return (await copy.handle.result()) as RecoverResult;
    });
    expect(result.outcome).toBe('released');
    expect(await asides()).toEqual([]);
    expect(await leftOfRecoveries(world)).toEqual([]);
    expect(await notes()).toBe('first');
  });
});
