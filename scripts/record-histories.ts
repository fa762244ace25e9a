/**
 * Records one real history of every workflow in each of its main ways to end, into test/replay/histories (those that
 * need Kubernetes: record-cluster-histories.ts). To be run by
 * hand (`npx tsx scripts/record-histories.ts`) when a workflow has got a new way to go: recorded histories are what
 * runs of older versions look like, so those that are there are only replaced on purpose.
 */
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { startWorld, type World } from '../parts/world.ts';
import type { PostgresServer } from '../parts/postgres-server.ts';
import type { Progress } from '../src/domain/run.ts';
import { leaveDump } from '../parts/left-dump.ts';
import { clusterAt } from '../test/e2e/ledger.ts';
import { keepHistory } from './keep-history.ts';

const wanted = process.argv.slice(2);
const decision = { by: 'alice', reason: 'recorded' };

/** After these the run waits for more: their step has to have begun before the next message. */
const stepOf: Readonly<Record<string, string>> = { undo: 'undo', 'go-on': 'go on' };

const world = await startWorld();
try {
  const main = await world.addPostgres('main', { major: 15 });
  const bare = await world.addPostgres('bare', { major: 15 });
  const policy = { cluster: 'main', method: 'pg_dumpall', repository: 'nas', keep: { last: 1 } };
  const configure = (expiresAfter: string) =>
    world.configure({
      policies: {
        archives: { ...policy, method: 'pg_dump', prefix: 'archives' },
        daily: { ...policy, adopt: { path: 'left', pattern: '*.sql' } },
        partial: { ...policy, keep: { last: 9 }, lockTimeout: '1s' },
        base: { cluster: 'main', method: 'base', repository: 'nas', keep: { last: 1 } },
      },
      clusters: { main: { ...clusterAt(main, 'main'), wal: { repository: 'nas' } }, bare: clusterAt(bare, 'bare') },
      approvals: { restore: { expiresAfter } },
    });
  await configure('1h');
  await main.psql('postgres', 'CREATE DATABASE gatus');
  await main.psql('gatus', 'CREATE TABLE results AS SELECT i AS id FROM generate_series(1, 10) i');
  await world.startWorker();

  await toTheEnd('backup-complete', 'backup', { policy: 'daily' });
  await recordPartial(main);
  await toTheEnd('prune', 'prune', { policy: 'daily' });
  const restore = { cluster: 'main', database: 'gatus' };
  await decided('restore-released', restore, ['approve', 'release']);
  await decided('restore-undone', restore, ['approve', 'undo', 'release']);
  await decided('restore-rejected', restore, ['reject']);
  await decided('restore-created', { ...restore, into: 'gatus_copy' }, []);
  await replanned(main);
  await configure('1s');
  await decided('restore-expired', restore, []);
  await configure('1h');
  await decided('restore-cluster', { cluster: 'main', onto: 'bare' }, ['approve']);
  await keep('cluster', 'cluster/bare');
  await toTheEnd('backup-archives', 'backup', { policy: 'archives' });
  await decided('restore-schema', { ...restore, tables: ['public.results'], intoSchema: 'rescued' }, []);
  for (const name of ['old', 'older'])
    await leaveDump(main, join(world.repository, 'left', `${name}.sql`), 'pg_dump --create gatus');
  await toTheEnd('adopt', 'adopt', { policy: 'daily', dump: 'old', by: 'alice', reason: 'recorded' });
  await decided('restore-foreign', { ...restore, backup: 'older', into: 'older', foreign: true }, ['approve']);
  await physical();
} finally {
  await world.stop();
}

async function start(name: string, type: string, argument: unknown) {
  return world.client.workflow.start(type, {
    workflowId: `recorded/${name}`,
    taskQueue: 'holdfast',
    args: [argument],
  });
}

/** Base backups, the archive of their log, recovery and drills. */
async function physical(): Promise<void> {
  const archive = await start('archive-wal', 'archiveWal', { cluster: 'main' });
  await toTheEnd('backup-base', 'backup', { policy: 'base' });
  await toTheEnd('prune-base', 'prune', { policy: 'base' });
  await toTheEnd('drill', 'drill', { policy: 'base' });
  await toTheEnd('drill-dump', 'drill', { policy: 'daily' });
  const onwards = { ...decision, target: 'latest' };
  const argument = { cluster: 'main', target: 'immediate' };
  await decided('recover-thrown-away', argument, ['throw-away'], 'recover');
  await decided('recover-on', argument, [['go-on', onwards], 'throw-away'], 'recover');
  await archive.signal('retire');
  await archive.result();
  await keep('archive-wal', archive.workflowId);
}

async function toTheEnd(name: string, type: string, argument: unknown): Promise<void> {
  const run = await start(name, type, argument);
  await run.result().catch(() => undefined);
  await keep(name, run.workflowId);
}

/** Sends each message when the run waits for one. */
async function decided(
  name: string,
  argument: unknown,
  messages: readonly (string | readonly [verb: string, payload: unknown])[],
  type = 'restore',
): Promise<void> {
  const run = await start(name, type, argument);
  for (const message of messages) {
    const [verb, payload] = typeof message === 'string' ? [message, decision] : message;
    if (await waits(world, run.workflowId)) await run.signal(verb, payload);
    const step = stepOf[verb];
    if (step !== undefined)
      while (!(await progress(world, run.workflowId)).steps.some((one) => one.name === step)) await sleep(50);
  }
  await run.result().catch(() => undefined);
  await keep(name, run.workflowId);
}

async function recordPartial(server: PostgresServer): Promise<void> {
  const { Client } = (await import('pg')).default;
  const holder = new Client({ connectionString: server.url('gatus') });
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE results IN ACCESS EXCLUSIVE MODE');
  await toTheEnd('backup-partial', 'backup', { policy: 'partial' });
  await holder.end();
}

/** Refused messages, a plan that no longer holds, and the approval of the next one by the update. */
async function replanned(server: PostgresServer): Promise<void> {
  const run = await start('restore-replanned', 'restore', { cluster: 'main', database: 'gatus' });
  await waits(world, run.workflowId);
  await run.signal('approve', 'yes');
  await server.psql('postgres', "ALTER DATABASE gatus SET work_mem = '9MB'");
  const { planDigest } = await progress(world, run.workflowId);
  await run.signal('approve', { ...decision, plan: planDigest });
  let next = await progress(world, run.workflowId);
  while (next.waitingFor !== 'decision' || next.planDigest === planDigest) {
    await sleep(50);
    next = await progress(world, run.workflowId);
  }
  await run.executeUpdate('decide', { args: [{ ...decision, decision: 'approve', plan: next.planDigest }] });
  await waits(world, run.workflowId);
  await run.signal('release', decision);
  await run.result();
  await keep('restore-replanned', run.workflowId);
}

function progress({ client }: World, workflowId: string): Promise<Progress> {
  return client.workflow.getHandle(workflowId).query<Progress>('progress');
}

/** True once the run waits for a human, false when it has ended without asking. */
async function waits({ client }: World, workflowId: string): Promise<boolean> {
  for (;;) {
    const { status } = await client.workflow.getHandle(workflowId).describe();
    if (status.name !== 'RUNNING') return false;
    if ((await progress(world, workflowId)).waitingFor !== null) return true;
    await sleep(50);
  }
}

async function keep(name: string, workflowId: string): Promise<void> {
  if (wanted.length === 0 || wanted.includes(name)) await keepHistory(world, name, workflowId);
}
