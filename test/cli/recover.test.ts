import { describe, expect, test } from '@jest/globals';
import { decisionWatcher } from '../../src/cli/decided-runs.ts';
import { reported } from '../../src/cli/command-error.ts';
import { follow } from '../../src/cli/follow.ts';
import { answered, openProgress } from '../../src/cli/following-up.ts';
import { endOfRecover, recoverArgumentOf, type RecoverOptions } from '../../src/cli/recovering.ts';
import { runFailure } from '../../src/cli/run-failure.ts';
import { showDrilled } from '../../src/cli/show-drill.ts';
import { showRun } from '../../src/cli/show-run.ts';
import type { Look, Watch } from '../../src/cli/watch.ts';
import type { Progress, Step } from '../../src/domain/run.ts';
import { recoverArgument } from '../../src/domain/recover-argument.ts';
import { expectGolden } from '../golden.ts';
import { desk, outputAt } from './command-line.ts';

const run = 'recover/infra/1a2b3c4d';
const at = '2026-11-21T12:00:00.000Z';
const step = (name: string, status: Step['status'], note: string | null = null): Step => ({
  name,
  status,
  startedAt: at,
  finishedAt: status === 'done' ? at : null,
  note,
});
const progress = (steps: readonly Step[], more: Partial<Progress> = {}): Progress => ({
  workflow: 'recover',
  subject: 'of cluster infra to the time 2026-11-21T11:00:00Z',
  steps,
  plan: null,
  planText: null,
  planDigest: null,
  waitingFor: null,
  followUps: [],
  expiresAt: null,
  decisions: [],
  refusals: [],
  ...more,
});
const look = (found: Progress, more: Partial<Look> = {}): Look => ({
  workflow: 'recover',
  status: 'RUNNING',
  open: true,
  startedAt: new Date(at),
  closedAt: undefined,
  progress: found,
  polled: undefined,
  moving: [],
  ...more,
});
const watchOf = (found: Look, result: unknown = {}): Watch => ({
  run,
  look: () => Promise.resolve(found),
  outcome: () => Promise.resolve(result),
});

const reached =
  'asked for the time 2026-11-21T11:00:00Z; reached 0/3000148 on timeline 1; the last transaction was committed at 2026-11-21T10:59:58Z; `psql -h /tmp/holdfast -p 5433 -U postgres postgres`';
const paused = progress(
  [step('fetch', 'done', '210 MB'), step('replay', 'done', reached), step('record', 'done', 'k')],
  {
    waitingFor: 'follow-up',
    followUps: ['promote', 'go-on', 'throw-away'],
  },
);

const options = (more: Partial<RecoverOptions> = {}): RecoverOptions => ({ cluster: 'infra', wait: true, ...more });

describe('what is typed about a recovery', () => {
  const written = (more: Partial<RecoverOptions>) => {
    const argument = recoverArgumentOf(options(more), 'alice');
    // The workflow reads it again.
    expect(recoverArgument.safeParse(argument).error).toBeUndefined();
    return JSON.parse(JSON.stringify(argument)) as unknown;
  };

  test('becomes the argument that a person would write for the workflow', () => {
    expect(written({ latest: true })).toEqual({
      cluster: 'infra',
      target: { latest: true },
      tablespaces: {},
      requestedBy: 'alice',
    });
    expect(written({ time: '2026-11-21 20:00+09:00', exclusive: true, timeline: 2 })).toMatchObject({
      target: { time: '2026-11-21T20:00:00+09:00', inclusive: false, timeline: 2 },
    });
    expect(written({ lsn: '0/3000148', inPlace: true, backup: 'infra-base-20261120-020000' })).toMatchObject({
      target: { lsn: '0/3000148' },
      inPlace: true,
      backup: 'infra-base-20261120-020000',
    });
    expect(written({ xid: '1234', directory: '/srv/copy', port: 5444 })).toMatchObject({
      target: { xid: '1234' },
      beside: { directory: '/srv/copy', port: 5444 },
    });
    expect(written({ name: 'before=it', tablespace: ['fast=/srv/a=b', 'slow=/srv/slow'] })).toMatchObject({
      target: { name: 'before=it' },
      tablespaces: { fast: '/srv/a=b', slow: '/srv/slow' },
    });
  });

  test('of a cluster of CloudNativePG says what the new Cluster is like, as far as it is given', () => {
    expect(written({ latest: true, into: 'logto-2', instances: 1, storageSize: '20Gi' })).toMatchObject({
      into: { name: 'logto-2', instances: 1, storage: { size: '20Gi' } },
    });
    expect(written({ latest: true, storageClass: 'fast' })).toMatchObject({
      into: { storage: { storageClass: 'fast' } },
    });
    expect(() => written({ latest: true, into: 'Logto 2' })).toThrow('--into must be 1 to 50 lowercase letters');
    expect(() => written({ latest: true, storageSize: 'large' })).toThrow('--storage-size must be a size');
  });

  test('a tablespace named like a member of every object is a tablespace', () => {
    expect(written({ latest: true, tablespace: ['constructor=/srv/c'] })).toMatchObject({
      tablespaces: { constructor: '/srv/c' },
    });
  });
});

describe('following a recovery', () => {
  const end = async (found: Look, { json = false, result = {} } = {}) => {
    const here = desk();
    const output = outputAt(here, json);
    const watch = watchOf(found, result);
    const followed = await follow(here, output, watch, { onProgress: decisionWatcher(output, run) });
    const code = await endOfRecover(output, run, followed, () => watch.outcome());
    return { code, stdout: here.stdout.text };
  };

  test('it stops at the target, with what was reached beside what was asked, how to look, and what to type', async () => {
    const { code, stdout } = await end(look(paused));
    expect(code).toBe(0);
    expectGolden(import.meta.url, 'recover-paused.txt', stdout);
  });

  test('what the run says of where it stands comes before the notes of its steps', async () => {
    const standing = '### At the target, open for reading\n\n- reached 0/3000148\n\n```\npsql -p 5433\n```';
    const { stdout } = await end(look({ ...paused, standing }));
    expect(stdout).toContain('  At the target, open for reading\n\n  - reached 0/3000148\n\n    psql -p 5433\n');
  });

  test('of a cluster of CloudNativePG stops at the new Cluster, from which there is no going on', async () => {
    const { code, stdout } = await end(look({ ...paused, followUps: ['promote', 'throw-away'] }));
    expect(code).toBe(0);
    expect(stdout).toContain('recovered: into a new Cluster, which archives nowhere until you promote it');
    expect(stdout).not.toContain('go-on');
  });

  test('with --json that is one document', async () => {
    const { code, stdout } = await end(look(paused), { json: true });
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      run,
      outcome: 'paused',
      waitingFor: 'follow-up',
      followUps: ['promote', 'go-on', 'throw-away'],
      standing: expect.stringContaining('reached 0/3000148'),
      next: [
        expect.stringContaining('recover promote'),
        expect.stringContaining('recover go-on'),
        expect.stringContaining('recover throw-away'),
      ],
    });
  });

  test('in place it stops for a decision before anything is touched, with exit code 9', async () => {
    const waiting = progress([step('plan', 'done')], {
      waitingFor: 'decision',
      planDigest: 'a1b2c3d4e5f6'.padEnd(64, '0'),
      planText: '## Recovers infra in place',
      expiresAt: '2026-11-22T12:00:00.000Z',
    });
    const { code, stdout } = await end(look(waiting));
    expect(code).toBe(9);
    expect(stdout).toContain('Recovers infra in place');
    expect(stdout).toContain(`holdfast approve ${run} --plan a1b2c3d4e5f6`);
  });

  test('one in place that was promoted keeps the old data until somebody releases it', async () => {
    const promoted = progress([step('promote', 'done', 'timeline 2')], {
      waitingFor: 'follow-up',
      followUps: ['release', 'undo'],
    });
    const { stdout } = await end(look(promoted));
    expect(stdout).toContain('recovered: it takes writes; what it replaced is kept until you release it');
    expect(stdout).toContain(`holdfast recover undo ${run} --reason 'swap the old data back'`);
  });

  test('one that has ended says how', async () => {
    const closed = look(progress([step('throw-away', 'done')]), { open: false, status: 'COMPLETED' });
    const result = { outcome: 'thrown away', base: 'infra-base-20261120-020000', done: ['removed /srv/copy'] };
    const { code, stdout } = await end(closed, { result });
    expect(code).toBe(0);
    expect(stdout).toContain('thrown away from base backup infra-base-20261120-020000\n  removed /srv/copy\n');
  });

  test('status says what it waits for', () => {
    const here = desk();
    showRun(outputAt(here), run, look(paused));
    expect(here.stdout.text).toContain('waits for promote, go-on or throw-away, for as long as it takes');
    expect(here.stdout.text).toContain(`holdfast recover go-on ${run} --time`);
  });
});

describe('asking a recovery for more', () => {
  const asking = { kind: 'recover', verb: 'go-on', run, reason: 'too early' } as const;

  test('is refused where the run is of another kind, has ended, or does not wait for that', () => {
    expect(() => openProgress(asking, look(paused, { workflow: 'restore' }))).toThrow('is of workflow restore');
    expect(() => openProgress(asking, look(paused, { open: false }))).toThrow('has nothing to go-on');
    expect(() => openProgress({ ...asking, verb: 'release' }, look(paused))).toThrow('has nothing to release');
    expect(() => openProgress(asking, { ...look(paused), progress: undefined })).toThrow('no worker answers');
    expect(openProgress(asking, look(paused))).toBe(paused);
  });

  test('is answered once the run has done something and waits again, or says no', () => {
    const busy = progress([...paused.steps, step('go-on', 'running')]);
    const again = progress([...paused.steps, step('go-on', 'done', reached)], {
      waitingFor: 'follow-up',
      followUps: paused.followUps,
    });
    const refused = { ...paused, refusals: [{ verb: 'go-on', by: 'alice', why: 'it is earlier', at }] };
    expect(answered(paused, paused, 'go-on', 'alice')).toBe(false);
    expect(answered(paused, busy, 'go-on', 'alice')).toBe(false);
    expect(answered(paused, again, 'go-on', 'alice')).toBe(true);
    expect(answered(paused, refused, 'go-on', 'alice')).toBe(true);
    expect(answered(paused, refused, 'go-on', 'bob')).toBe(false);
    expect(answered(refused, refused, 'go-on', 'alice')).toBe(false);
  });
});

describe('the end of a drill', () => {
  const result = {
    backup: 'jigga-daily-20261121-020000',
    outcome: 'passed',
    restoreSeconds: 41.2,
    dataAgeSeconds: 36_000,
    checks: [
      { name: 'starts', outcome: 'passed', detail: 'PostgreSQL 17.6' },
      { name: 'app: select count(*) > 0 from orders', outcome: 'passed', detail: 't' },
      { name: 'amcheck', outcome: 'skipped', detail: 'not asked for' },
    ],
  };

  const drilled = async (outcome: Promise<unknown>, json = false) => {
    const here = desk();
    const error = await showDrilled(outputAt(here, json), 'drill/jigga-daily/1a2b3c4d', outcome).catch(
      (thrown: unknown) => thrown,
    );
    return { error, stdout: here.stdout.text };
  };
  /** As a workflow's failure comes out of Temporal. */
  const failed = (result: object) =>
    runFailure(
      Object.assign(new Error('Workflow execution failed'), {
        name: 'WorkflowFailedError',
        cause: Object.assign(new Error('the drill failed (take another)'), {
          name: 'ApplicationFailure',
          type: 'DrillFailed',
          details: [{ hint: 'take another', ...result }],
        }),
      }),
      run,
    ) as Error;

  test('is a line for each check', async () => {
    const { error, stdout } = await drilled(Promise.resolve(result));
    expect(error).toBeUndefined();
    expectGolden(import.meta.url, 'drill-passed.txt', stdout);
  });

  test('that failed shows its checks and then fails, with an exit code of its own', async () => {
    const broken = { ...result, outcome: 'failed', restoreSeconds: null, dataAgeSeconds: null };
    const { error, stdout } = await drilled(Promise.reject(failed(broken)));
    expect(stdout).toContain('FAILED  drill of jigga-daily-20261121-020000: nothing that answers came of it');
    expect(stdout).toContain('amcheck                               skipped  not asked for');
    expect(reported(error)).toMatchObject({ type: 'DrillFailed', hint: 'take another', exitCode: 10 });
    const json = await drilled(Promise.reject(failed(broken)), true);
    expect(JSON.parse(json.stdout)).toEqual({ run: 'drill/jigga-daily/1a2b3c4d', result: broken });
  });

  test('that failed before there was a result is only the failure', async () => {
    const { error, stdout } = await drilled(Promise.reject(failed({})));
    expect(stdout).toBe('');
    expect(reported(error)).toMatchObject({ exitCode: 10 });
  });
});
