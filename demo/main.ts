/**
 * Holdfast's main job on real parts: a schedule takes backups and prunes, a database is damaged, restored beside the
 * live one, approved by a human, swapped in, proven and released.
 *
 * --ask   a person approves, in the Temporal UI or with the command that is shown
 * --keep  leave everything running at the end, until Ctrl-C
 */
import { readdir } from 'node:fs/promises';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { availableMajors } from '../parts/postgres-server.ts';
import type { Spoken } from '../parts/temporal-server.ts';
import { startWorld, type World } from '../parts/world.ts';
import type { Progress } from '../src/domain/run.ts';
import { createSample, damage, databases, fingerprint } from './sample.ts';
import { Story } from './story.ts';

const { values } = parseArgs({
  options: { ask: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false } },
});
const { ask, keep } = values;
const story = new Story();

const interrupted = new Promise<void>((resolve) => {
  process.once('SIGINT', resolve);
  process.once('SIGTERM', resolve);
});

const world = await story.step(
  'Temporal is up',
  () => startWorld({ temporal: { ui: true } }),
  ({ temporal }) =>
    `${temporal.source === 'given' ? 'the one at' : 'dev server at'} ${temporal.address}${temporal.uiUrl === undefined ? '' : `, Web UI ${temporal.uiUrl}`}`,
);
try {
  await Promise.race([run(world), interrupted.then(() => Promise.reject(new Error('interrupted')))]);
  story.summary();
  if (keep) {
    story.say(
      `Everything is kept running: Web UI ${world.temporal.uiUrl ?? '(none)'}, configuration ${world.configFile}, backups ${world.repository}.`,
    );
    story.say('Ctrl-C ends it.');
    await interrupted;
  }
} catch (error) {
  story.failed(error);
  process.exitCode = 1;
} finally {
  await world.stop();
  if (process.exitCode === undefined) story.say('Nothing is left running.');
}
process.exit();

async function run(world: World): Promise<void> {
  const { client, configFile, repository, temporal } = world;
  const major = availableMajors()[0];
  if (major === undefined) throw new Error('there is no PostgreSQL server here. Type: node scripts/setup.mjs demo');
  const server = await story.step(
    `PostgreSQL ${String(major)} is up`,
    () => world.addPostgres('demo', { major }),
    ({ port }) => `127.0.0.1:${String(port)}`,
  );
  await story.step(
    'an S3 store is up, versitygw',
    () => world.addS3('offsite'),
    ({ endpoint, bucket }) => `${endpoint}, bucket ${bucket}`,
  );
  await story.step(`sample databases ${databases.join(', ')}`, () => createSample(server));
  await world.configure({
    installation: 'demo',
    policies: {
      'demo-daily': {
        cluster: 'demo',
        method: 'pg_dumpall',
        repository: 'nas',
        path: '',
        prefix: 'postgres-backup',
        schedule: '0 2 * * *',
        keep: { last: 2 },
      },
      'demo-offsite': {
        cluster: 'demo',
        method: 'pg_dump',
        repository: 'offsite',
        schedule: '30 2 * * *',
        keep: { days: 30 },
      },
    },
  });
  const worker = await story.step(
    'a worker runs',
    () => world.startWorker(),
    ({ healthUrl }) => `health ${healthUrl}/readyz`,
  );
  const applied = await story.step('holdfast apply: the schedules demo/demo-daily and demo/demo-offsite', () =>
    expectOk(world.holdfast('apply')),
  );
  story.quote(applied.stdout);

  const turns = [
    ['first', 'demo-daily', 'pg_dumpall to the directory'],
    ['second', 'demo-offsite', 'pg_dump to S3'],
    ['third', 'demo-daily', 'to the directory again'],
    ['fourth', 'demo-daily', 'and again'],
  ] as const;
  const ids: string[] = [];
  for (const [turn, policy, where] of turns) {
    const id = await story.step(
      `${turn} backup, by the schedule, ${where}`,
      () => triggerAndWait(world, policy),
      (made) => made,
    );
    ids.push(id);
    await sleep(1_100); // names have seconds
  }
  story.quote((await expectOk(world.holdfast('backups', 'list'))).stdout);
  story.say(
    `keep: { last: 2 } has pruned the first: ${(await readdir(repository)).filter((name) => name.endsWith('.sql.gz')).join(', ')}`,
  );

  const before = await fingerprint(server, 'gatus');
  await story.step('gatus is damaged: rows deleted, a view dropped, URLs overwritten', () => damage(server));
  if ((await fingerprint(server, 'gatus').catch(() => 'broken')) === before)
    throw new Error('the damage did nothing: this proves nothing');

  const runId = `restore-gatus-${String(Date.now())}`;
  const argument = JSON.stringify({ cluster: 'demo', backup: 'latest', database: 'gatus', requestedBy: 'the demo' });
  await story.step('a restore is started, with the temporal command', () =>
    expectOk(
      world.temporalCommand(
        'workflow',
        'start',
        '--type',
        'restore',
        '--task-queue',
        'holdfast',
        '--workflow-id',
        runId,
        '--input',
        argument,
      ),
    ),
  );
  const handle = client.workflow.getHandle(runId);
  const progress = await story.step('restored beside the live one and verified', () =>
    until(handle, ({ waitingFor }) => waitingFor === 'decision'),
  );
  story.quote((await world.holdfast('status', runId)).stdout); // exit code 9: somebody is waited for

  const plan = progress.planDigest?.slice(0, 12) ?? '';
  if (ask) {
    story.say('Your turn: approve or reject the plan, within 24 hours.');
    story.say(`  in the Web UI:  ${temporal.uiUrl ?? ''}/namespaces/${temporal.namespace}/workflows/${runId}`);
    story.say(
      `  or in a shell:  temporal workflow signal --address ${temporal.address} --workflow-id ${runId} --name approve --input '{"by":"you","reason":"checked the report","plan":"${plan}"}'`,
    );
  } else {
    const input = JSON.stringify({ by: 'the demo', reason: 'the report is clean', plan });
    await story.step(`approved: temporal workflow signal --name approve --input '${input}'`, () =>
      expectOk(
        world.temporalCommand('workflow', 'signal', '--workflow-id', runId, '--name', 'approve', '--input', input),
      ),
    );
  }
  const swapped = await story.step('swapped in', () => until(handle, ({ waitingFor }) => waitingFor === 'follow-up'));
  story.say(
    swapped.steps
      .filter(({ name }) => name === 'swap')
      .map(({ note }) => note ?? '')
      .join(),
  );

  const after = await fingerprint(server, 'gatus');
  if (after !== before) throw new Error(`gatus is not what it was:\n${before}\n${after}`);
  await story.step('proof: every row, setting, privilege and comment of gatus is as it was', () => Promise.resolve());
  await story.step('released: the damaged database, kept until now, is dropped', async () => {
    await expectOk(
      world.holdfast('restore', 'release', runId, '--by', 'the demo', '--reason', 'the application is well'),
    );
    await handle.result();
  });
  const [, offsite = ''] = ids;
  await story.step('one table of another database, out of the S3 backup, into a new schema beside the live one', () =>
    expectOk(
      world.holdfast(
        ...['restore', '--cluster', 'demo', '--backup', offsite, '--database', 'app'],
        ...['--table', 'app.endpoints', '--into-schema', 'rescued'],
      ),
    ),
  );
  story.say(
    `app.rescued.endpoints: ${(await server.psql('app', 'SELECT count(*) FROM rescued.endpoints')).trim()} rows`,
  );
  const left = await server.psql('postgres', "SELECT string_agg(datname, ', ' ORDER BY datname) FROM pg_database");
  story.say(`databases now: ${left.trim()}`);
  story.say(
    `configuration ${configFile}; backups and run records ${repository}; worker log ${worker.logFile}${keep ? '' : ' (all gone when this ends; --keep keeps it)'}`,
  );
}

/** Fires the schedule now instead of at two in the morning, and waits for the backup that it starts. */
async function triggerAndWait(world: World, policy: string): Promise<string> {
  const { client } = world;
  const schedule = client.schedule.getHandle(`demo/${policy}`);
  const known = new Set((await schedule.describe()).info.recentActions.map(({ action }) => action.workflow.workflowId));
  await expectOk(world.temporalCommand('schedule', 'trigger', '--schedule-id', `demo/${policy}`));
  for (;;) {
    const started = (await schedule.describe()).info.recentActions.find(
      ({ action }) => !known.has(action.workflow.workflowId),
    );
    if (started) {
      const { id } = (await client.workflow.getHandle(started.action.workflow.workflowId).result()) as { id: string };
      return id;
    }
    await sleep(200);
  }
}

/** Asks the run how far it is until it is far enough; fails with the run's own failure when it ends before. */
async function until(handle: WorkflowHandle, enough: (progress: Progress) => boolean): Promise<Progress> {
  for (;;) {
    const { status } = await handle.describe();
    if (status.name !== 'RUNNING') await handle.result();
    const progress = await handle.query<Progress>('progress');
    if (enough(progress)) return progress;
    if (status.name !== 'RUNNING') throw new Error(`the run ended as ${status.name}`);
    await sleep(250);
  }
}

async function expectOk(command: Promise<Spoken>): Promise<Spoken> {
  const spoken = await command;
  if (spoken.code !== 0)
    throw new Error(`exit code ${String(spoken.code)}: ${spoken.stderr.trim() || spoken.stdout.trim()}`);
  return spoken;
}
