import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { serverUser } from '../../parts/server-user.ts';
import type { World } from '../../parts/world.ts';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import type { RecoverResult } from '../../src/workflows/recover-run.ts';
import { clusterAt } from './ledger.ts';
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
  untilArchived,
  type Moment,
} from './recovering.ts';
import { backUp, failureOf, untilDecision, untilProgress } from './runs.ts';

const run = promisify(execFile);

describe('a recovery in the place of a cluster', () => {
  let world: World;
  let server: PostgresServer;
  let first: Moment;

  const owner = serverUser();
  const pgCtl = (...args: readonly string[]): [string, ...string[]] => {
    const own = [join(server.serverBinDir, 'pg_ctl'), '-D', server.dataDir, '-w', '-t', '300', ...args];
    return owner === undefined
      ? (own as [string, ...string[]])
      : ['setpriv', `--reuid=${owner.name}`, `--regid=${owner.name}`, '--init-groups', '--', ...own];
  };

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major: 15 }));
    await world.configure({
      clusters: {
        main: {
          ...clusterAt(server, 'main'),
          wal: { repository: 'nas', maxAge: '1h' },
          instance: {
            dataDirectory: server.dataDir,
            stop: pgCtl('-m', 'fast', 'stop'),
            start: pgCtl('-l', join(dirname(server.dataDir), 'service.log'), 'start'),
          },
        },
      },
      policies: { base: { cluster: 'main', method: 'base', repository: 'nas', window: '7d' } },
    });
    await world.startWorker();
    await startArchive(world);
    await backUp(world, 'base');
    first = await note(server, 'first');
    await note(server, 'second');
    await untilArchived(world, server);
  });
  afterAll(async () => {
    // By now it is pg_ctl's, not this process's.
    const [file, ...args] = pgCtl('-m', 'immediate', 'stop');
    await run(file, args, { cwd: '/' }).catch(() => undefined);
    await stopArchiving({ world });
  });

  const notes = () => server.psql('postgres', "SELECT string_agg(text, ',') FROM notes");
  const startedAt = () => server.psql('postgres', 'SELECT pg_postmaster_start_time()');
  const asides = async () =>
    (await readdir(dirname(server.dataDir))).filter((name) => name.startsWith(`${basename(server.dataDir)}.`));
  const words = { by: 'alice', reason: 'a bad day' };
  const planOf = (digest: string | null | undefined) => ({ ...words, plan: (digest ?? '').slice(0, 12) });

  /** Approved, and paused at the target. */
  async function recovered() {
    const handle = await recover(world, { lsn: first.lsn }, { inPlace: true });
    const { planDigest } = await untilDecision<RecoveryPlan>(handle);
    await handle.signal('approve', planOf(planDigest));
    return copyOf(world, handle);
  }

  async function promoted() {
    const copy = await recovered();
    expect(await copy.notes()).toBe('first');
    await copy.handle.signal('promote', words);
    await untilProgress<RecoveryPlan>(
      copy.handle,
      ({ waitingFor, followUps }) => waitingFor === 'follow-up' && followUps.includes('undo'),
    );
    return copy;
  }

  test('stops nothing before it is approved, and nothing at all when it is rejected', async () => {
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
    const copy = await recovered();
    expect(await copy.notes()).toBe('first');
    expect(await asides()).not.toEqual([]);
    expect(await copy.throwAway()).toMatchObject({ outcome: 'thrown away', directory: server.dataDir });
    expect(await notes()).toBe('first,second');
    expect(await asides()).toEqual([]);
  });

  test('that is promoted and released is the cluster from then on, and is archived on', async () => {
    const copy = await promoted();
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
    const copy = await promoted();
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
