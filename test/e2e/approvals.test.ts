import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { contents, createLedger, damageLedger, oidOf, policiesFor, temporalJson, traces } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, failureOf, start, untilDecision, untilFollowUp, untilProgress } from './runs.ts';

describe('an approval', () => {
  let world: World;
  let server: PostgresServer;
  const names = ['gatus', 'app', 'vault', 'twice'];
  const whole = new Map<string, string>();

  const configure = (expiresAfter: string) =>
    world.configure({ policies: policiesFor('main'), approvals: { restore: { expiresAfter } } });
  const restore = (database: string) => start(world, 'restore', { cluster: 'main', database });

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await configure('1h');
    for (const name of names) await createLedger(server, name);
    await world.startWorker();
    await backUp(world);
    for (const name of names) {
      whole.set(name, await contents(server, name));
      await damageLedger(server, name);
    }
  });
  afterAll(() => world.stop());

  test('that is refused drops the copy and leaves the live database untouched', async () => {
    const untouched = await traces(server, 'gatus');
    const run = await restore('gatus');
    const { planDigest } = await untilDecision(run);
    await run.signal('reject', { by: 'bob', reason: 'not today' });
    const failure = await failureOf(run);
    expect(failure).toMatchObject({ type: 'Rejected', hint: 'nothing of the live database was changed' });
    expect(failure.message).toContain(`bob rejected plan ${(planDigest ?? '').slice(0, 12)}: not today`);
    expect(await traces(server, 'gatus')).toBe(untouched);
    await expectClean(world, server);
  });

  test('that does not come in time counts as a refusal', async () => {
    const untouched = await traces(server, 'gatus');
    await configure('5s');
    const run = await restore('gatus');
    expect(await failureOf(run)).toMatchObject({ type: 'Expired', hint: 'start the restore again' });
    await configure('1h');
    expect(await traces(server, 'gatus')).toBe(untouched);
    await expectClean(world, server);
  });

  test('of another run’s plan is refused, and counts for that run only', async () => {
    const [first, second] = [await restore('gatus'), await restore('app')];
    const [planOfFirst] = [await untilDecision(first), await untilDecision(second)];
    await approve(second, planOfFirst);
    const { refusals, waitingFor, decisions } = await untilProgress(second, (progress) => progress.refusals.length > 0);
    expect(refusals[0]?.why).toContain('a plan that this run never had');
    expect({ waitingFor, decisions }).toEqual({ waitingFor: 'decision', decisions: [] });
    for (const run of [first, second]) await run.signal('reject', { by: 'bob', reason: 'enough' });
    for (const run of [first, second]) expect(await failureOf(run)).toMatchObject({ type: 'Rejected' });
    await expectClean(world, server);
  });

  test('of a plan that no longer holds executes nothing, and does not count for the new plan', async () => {
    const run = await restore('app');
    const first = await untilDecision(run);
    await server.psql('postgres', "ALTER DATABASE app SET statement_timeout = '7min'");
    const untouched = await traces(server, 'app');
    await approve(run, first);
    const second = await untilProgress(
      run,
      ({ waitingFor, planDigest }) => waitingFor === 'decision' && planDigest !== first.planDigest,
    );
    expect(second.steps.find(({ name }) => name === 'swap')).toMatchObject({ status: 'failed' });
    await approve(run, first);
    const refused = await untilProgress(run, ({ refusals }) => refusals.length === 1);
    expect(refused.refusals[0]?.why).toContain('an earlier plan of this run');
    await run.signal('approve', { by: 'alice', reason: 'which one?' });
    const nameless = await untilProgress(run, ({ refusals }) => refusals.length === 2);
    expect(nameless.refusals[1]?.why).toContain('this run has had 2 plans');
    expect(await traces(server, 'app')).toBe(untouched);
    await approve(run, second);
    const { plan } = await untilFollowUp(run);
    expect(await contents(server, 'app')).toBe(whole.get('app'));
    expect(await server.psql('app', 'SHOW statement_timeout')).toBe('7min');
    await expectClean(world, server, [plan?.facts.oldName ?? '']);
    await run.signal('release', { by: 'alice', reason: 'enough' });
    await run.result();
    await expectClean(world, server);
  });

  /** The nonsense gets a task of its own, so that there is one to reset to in which the plan is already up. */
  async function approvedAfterNonsense(run: WorkflowHandle): Promise<void> {
    await untilDecision(run);
    await run.signal('approve', 'nonsense');
    await approve(run, await untilProgress(run, ({ refusals }) => refusals.length === 1));
  }

  /** As `temporal workflow reset` does it: to the task before the approval, which is applied again. */
  async function resetToBeforeApproval(workflowId: string): Promise<void> {
    const { events } = await world.client.workflow.getHandle(workflowId).fetchHistory();
    const all = events ?? [];
    const approved = all.findLastIndex(
      ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.signalName === 'approve',
    );
    const task = all.slice(0, approved).findLast((event) => event.workflowTaskCompletedEventAttributes);
    await temporalJson(
      world,
      ...['workflow', 'reset', '--workflow-id', workflowId, '--event-id', String(task?.eventId), '--reason', 'a test'],
    );
  }

  test('replayed by a reset after the swap swaps nothing a second time', async () => {
    const run = await restore('vault');
    await approvedAfterNonsense(run);
    const swapped = await untilFollowUp(run);
    await server.psql('vault', "INSERT INTO ledger.entries (note) VALUES ('written after the swap')");
    const after = await traces(server, 'vault');
    await resetToBeforeApproval(run.workflowId);

    const again = world.client.workflow.getHandle(run.workflowId);
    const replayed = await untilFollowUp(again);
    expect(replayed.steps.find(({ name }) => name === 'swap')).toMatchObject({
      status: 'done',
      note: 'an earlier attempt had done it',
    });
    expect(await traces(server, 'vault')).toBe(after);
    await expectClean(world, server, [swapped.plan?.facts.oldName ?? '']);
    await again.signal('release', { by: 'alice', reason: 'enough' });
    expect(await again.result()).toMatchObject({ outcome: 'released' });
    await expectClean(world, server);
  });

  test('replayed by a reset after an undo does not bring back what was undone', async () => {
    const run = await restore('twice');
    await approvedAfterNonsense(run);
    const { plan } = await untilFollowUp(run);
    await run.signal('undo', { by: 'alice', reason: 'it was the wrong one' });
    await untilProgress(
      run,
      ({ waitingFor, steps }) => waitingFor === 'follow-up' && steps.some(({ name }) => name === 'undo'),
    );
    const after = await traces(server, 'twice');
    await resetToBeforeApproval(run.workflowId);

    const again = world.client.workflow.getHandle(run.workflowId);
    expect(await failureOf(again)).toMatchObject({ type: 'PlanHopeless' });
    expect(await traces(server, 'twice')).toBe(after);
    expect(await oidOf(server, 'twice')).toBe(plan?.facts.target.liveOid);
    const copy = plan?.facts.copyName ?? '';
    await expectClean(world, server, [copy]);
    await server.psql('postgres', `DROP DATABASE IF EXISTS ${copy}`);
  });
});
