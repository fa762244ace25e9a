import { describe, expect, test } from '@jest/globals';
import { follow } from '../../src/cli/follow.ts';
import type { Moving } from '../../src/cli/moving.ts';
import { decisionWatcher } from '../../src/cli/decided-runs.ts';
import { endOfRestore } from '../../src/cli/restoring.ts';
import type { Look, Watch } from '../../src/cli/watch.ts';
import { HoldfastError } from '../../src/domain/errors.ts';
import { planDigest, type RestorePlan } from '../../src/domain/plan.ts';
import { renderPlan } from '../../src/domain/render-plan.ts';
import type { Progress, Step } from '../../src/domain/run.ts';
import { restorePlan } from '../domain/samples.ts';
import { desk, outputAt } from './command-line.ts';

const at = '2026-11-21T12:00:00.000Z';
const step = (name: string, status: Step['status'], note: string | null = null): Step => ({
  name,
  status,
  startedAt: at,
  finishedAt: status === 'done' ? at : null,
  note,
});
const progress = (steps: readonly Step[], more: Partial<Progress> = {}): Progress => ({
  workflow: 'restore',
  subject: 'of database gatus',
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
const look = (more: Partial<Look> = {}): Look => ({
  workflow: 'backup',
  status: 'RUNNING',
  open: true,
  startedAt: new Date(at),
  closedAt: undefined,
  progress: progress([]),
  polled: undefined,
  moving: [],
  ...more,
});
const moving = (bytes: number): Moving => ({
  activity: 'takeBackup',
  attempt: 1,
  doing: 'dump of gatus',
  bytes,
  totalBytes: undefined,
  done: 1,
  total: 3,
});
const closed = look({
  status: 'COMPLETED',
  open: false,
  closedAt: new Date(at),
  progress: progress([step('take', 'done', '3 databases')]),
});

/** Shows one look after the other, the last for ever. */
function watchOf(...looks: (Look | Error | (() => Promise<Look>))[]): Watch {
  let next = 0;
  return {
    run: 'backup/jigga-daily/1a2b3c4d',
    look: () => {
      const found = looks[Math.min(next, looks.length - 1)] ?? closed;
      next += 1;
      if (typeof found === 'function') return found();
      return found instanceof Error ? Promise.reject(found) : Promise.resolve(found);
    },
    outcome: () => Promise.resolve({}),
  };
}

const noAnswer = () => Object.assign(new Error('no answer'), { code: 14, details: 'connection refused' });
/** Enough looks for so many seconds of plain following. */
const times = <T>(count: number, one: (index: number) => T) => Array.from({ length: count }, (_, index) => one(index));

describe('following a run', () => {
  test('without a terminal every step has a line when it begins and when it ends', async () => {
    const here = desk();
    const taking = look({ progress: progress([step('take', 'running')]) });
    const { end } = await follow(here, outputAt(here), watchOf(look(), taking, taking, closed));
    expect(end).toBe('closed');
    expect(here.stdout.text).toBe('  ▶ take\n  ✔ take: 3 databases\n');
  });

  test('without a terminal bytes and rate have a line every half minute', async () => {
    const here = desk();
    const looks = times(40, (index) =>
      look({ progress: progress([step('take', 'running')]), moving: [moving(index * 10_000_000)] }),
    );
    await follow(here, outputAt(here), watchOf(...looks, closed));
    const lines = here.stdout.text.split('\n').filter((line) => line.includes('dump of gatus'));
    expect(lines.length).toBeGreaterThan(1);
    expect(lines.length).toBeLessThan(4);
    expect(lines.at(-1)).toMatch(/dump of gatus, 1 of 3, \d+ MB, \S+ MB\/s$/);
  });

  test('on a terminal one line is written over and over, and taken away at the end', async () => {
    const here = desk({ terminal: true });
    const looks = times(5, (index) =>
      look({ progress: progress([step('take', 'running')]), moving: [moving(index * 10_000_000)] }),
    );
    await follow(here, outputAt(here), watchOf(...looks, closed));
    expect(here.stdout.text.split('\n')).toHaveLength(2);
    expect(here.stdout.text).toContain('\r\u001b[2K  ▶ take: dump of gatus, 1 of 3, 40 MB');
    expect(here.stdout.text).toMatch(/\r\u001b\[2K {2}✔ take: 3 databases\n$/);
  });

  test('a name from a database that holds control characters reaches no terminal as such', async () => {
    const here = desk({ terminal: true });
    const hostile = look({
      progress: progress([step('take', 'running')]),
      moving: [{ ...moving(1), doing: 'dump of \u001b]0;owned\u0007\r\n' }],
    });
    await follow(here, outputAt(here), watchOf(hostile, closed));
    expect(here.stdout.text).not.toContain('\u001b]0;');
    expect(here.stdout.text).toContain('dump of \ufffd]0;owned\ufffd\ufffd\ufffd');
  });

  test('it says once that no worker answers, and once that one does again', async () => {
    const here = desk();
    const alone = look({ progress: undefined, polled: false });
    await follow(here, outputAt(here), watchOf(alone, alone, alone, look(), closed));
    expect(here.stderr.text).toBe(
      "note: no worker answers: start one with 'holdfast worker'. The run waits for it\nnote: a worker answers\n",
    );
  });

  test('without a terminal it gives up after five minutes without a worker, and the run stays open', async () => {
    const here = desk();
    const alone = look({ progress: undefined, polled: false });
    await expect(follow(here, outputAt(here), watchOf(alone))).rejects.toMatchObject({ type: 'NoWorker' });
    const waitedMs = here.clock.now() - Date.parse('2026-11-21T12:00:00Z');
    expect(waitedMs).toBeGreaterThan(300_000);
    expect(waitedMs).toBeLessThan(310_000);
  });

  test('a Temporal server that restarts is waited for, one that stays away is not', async () => {
    const back = desk();
    await follow(back, outputAt(back), watchOf(noAnswer(), noAnswer(), look(), closed));
    expect(back.stderr.text).toBe(
      "note: Temporal doesn't answer; trying again. The run is not affected\nnote: Temporal answers again\n",
    );
    const away = desk();
    await expect(follow(away, outputAt(away), watchOf(look(), noAnswer()))).rejects.toMatchObject({ code: 14 });
  });

  test('a run that does not exist is no reason to wait', async () => {
    const here = desk();
    const gone = new HoldfastError('NoSuchRun', 'no such run', 'look again');
    await expect(follow(here, outputAt(here), watchOf(gone))).rejects.toBe(gone);
  });

  test('Ctrl-C leaves the run running and says so, also while a look hangs', async () => {
    const here = desk();
    const hangs = () =>
      new Promise<Look>(() => {
        here.interrupt();
      });
    await expect(follow(here, outputAt(here), watchOf(look(), hangs))).rejects.toMatchObject({
      type: 'Interrupted',
      message: 'no longer following run backup/jigga-daily/1a2b3c4d, which goes on',
      hint: "'holdfast status backup/jigga-daily/1a2b3c4d --follow' shows it, 'holdfast cancel backup/jigga-daily/1a2b3c4d' ends it",
    });
  });

  test('with --json it shows nothing', async () => {
    const here = desk({ terminal: true });
    await follow(here, outputAt(here, true), watchOf(look({ progress: undefined, polled: false }), look(), closed));
    expect({ out: here.stdout.text, err: here.stderr.text }).toEqual({ out: '', err: '' });
  });
});

describe('following a restore', () => {
  const plan = restorePlan();
  const proposed = (it: RestorePlan) => ({ plan: it, planText: renderPlan(it), planDigest: planDigest(it) });
  const waiting = progress([step('plan', 'done')], {
    ...proposed(plan),
    waitingFor: 'decision',
    expiresAt: '2026-11-22T12:00:00.000Z',
  });
  const swapped = progress([step('swap', 'done')], {
    ...proposed(plan),
    waitingFor: 'follow-up',
    followUps: ['release', 'undo'],
  });
  const run = 'restore/jigga/1a2b3c4d';

  test('without a terminal it stops where a decision is due, with exit code 9 and what to type', async () => {
    const here = desk();
    const output = outputAt(here);
    const followed = await follow(here, output, watchOf(look(), look({ progress: waiting })), {
      onProgress: decisionWatcher(output, run),
    });
    expect(await endOfRestore(output, run, followed, () => Promise.resolve())).toBe(9);
    expect(here.stdout.text).toContain(`Plan ${planDigest(plan).slice(0, 12)}`);
    expect(here.stdout.text).toContain(
      `holdfast approve ${run} --plan ${planDigest(plan).slice(0, 12)} --reason 'checked the report'`,
    );
  });

  test('on a terminal it shows the plan once and waits until the swap is done', async () => {
    const here = desk({ terminal: true });
    const output = outputAt(here);
    const looks = times(5, () => look({ progress: waiting }));
    const followed = await follow(here, output, watchOf(...looks, look({ progress: swapped })), {
      onProgress: decisionWatcher(output, run),
    });
    expect(await endOfRestore(output, run, followed, () => Promise.resolve())).toBe(0);
    expect(here.stdout.text.split('holdfast approve')).toHaveLength(2);
    expect(here.stdout.text).toContain(`holdfast restore undo ${run}`);
    expect(here.stdout.text).toContain(`holdfast restore release ${run}`);
  });

  test('a plan that replaced the first is shown too', async () => {
    const here = desk({ terminal: true });
    const output = outputAt(here);
    const second = restorePlan({ copyOid: 17_000 });
    const replaced = { ...waiting, ...proposed(second) };
    await follow(
      here,
      output,
      watchOf(look({ progress: waiting }), look({ progress: replaced }), look({ progress: swapped })),
      { onProgress: decisionWatcher(output, run) },
    );
    expect(here.stdout.text).toContain(`--plan ${planDigest(plan).slice(0, 12)}`);
    expect(here.stdout.text).toContain(`--plan ${planDigest(second).slice(0, 12)}`);
  });

  test('with --json it is one document, with the plan and the commands', async () => {
    const here = desk();
    const output = outputAt(here, true);
    const followed = await follow(here, output, watchOf(look({ progress: waiting })), {
      onProgress: decisionWatcher(output, run),
    });
    expect(await endOfRestore(output, run, followed, () => Promise.resolve())).toBe(9);
    expect(JSON.parse(here.stdout.text)).toMatchObject({
      run,
      waitingFor: 'decision',
      planDigest: planDigest(plan),
      next: [expect.stringContaining('approve'), expect.stringContaining('reject')],
    });
  });
});
