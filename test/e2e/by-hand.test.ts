import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import type { Progress } from '../../src/domain/run.ts';
import { contents, createLedger, damageLedger, policiesFor, rowsOf, temporalJson, traces } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { untilDecision, untilFollowUp, untilProgress } from './runs.ts';

/** Everything below goes through the command `temporal` and plain JSON: what it sends is what the Web UI's forms send. */
describe('a restore by hand, from Temporal alone', () => {
  let world: World;
  let server: PostgresServer;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await world.configure({ policies: policiesFor('main') });
    await createLedger(server, 'gatus');
    await world.startWorker();
    await run('backup', 'backup/first', '{"policy":"daily"}');
  });
  afterAll(() => world.stop());
  let lastId = '';
  beforeEach(() => {
    lastId = `restore/by-hand-${String(Math.random()).slice(2)}`;
  });

  const workflow = (...args: readonly string[]) => world.temporalCommand('workflow', ...args);
  const startByHand = (type: string, id: string, input?: string) =>
    workflow(
      ...['start', '--type', type, '--task-queue', 'holdfast', '--workflow-id', id],
      ...(input === undefined ? [] : ['--input', input]),
    );
  async function run(type: string, id: string, input: string): Promise<void> {
    expect(await startByHand(type, id, input)).toMatchObject({ code: 0 });
    await world.client.workflow.getHandle(id).result();
  }
  const signal = (id: string, name: string, input?: string) =>
    workflow('signal', '--workflow-id', id, '--name', name, ...(input === undefined ? [] : ['--input', input]));
  const update = (id: string, input?: string) =>
    workflow(
      ...['update', 'execute', '--workflow-id', id, '--name', 'decide'],
      ...(input === undefined ? [] : ['--input', input]),
    );
  const query = async (id: string): Promise<Progress> => {
    const { queryResult } = await temporalJson<{ queryResult: readonly [Progress] }>(
      world,
      ...['workflow', 'query', '--workflow-id', id, '--type', 'progress'],
    );
    return queryResult[0];
  };
  const handle = (id: string) => world.client.workflow.getHandle(id);

  test.each([
    ['nothing at all', undefined, /expected|object/],
    ['a word', '"gatus"', /object/],
    ['a list', '[{"cluster":"main"}]', /object/],
    ['null', 'null', /object/],
    ['no cluster', '{"database":"gatus"}', /cluster/],
    ['a misspelt field', '{"cluster":"main","databse":"gatus"}', /databse/],
    ['a number for a name', '{"cluster":"main","database":7}', /database/],
    ['a path for a backup', '{"cluster":"main","backup":"../../etc/passwd","database":"gatus"}', /backup.*not a path/],
    ['a wish that there is not', '{"cluster":"main","database":"gatus","missingRoles":"ignore"}', /missingRoles/],
  ])('a start with %s fails at once, and says where and how', async (_, input, where) => {
    expect(await startByHand('restore', lastId, input)).toMatchObject({ code: 0 });
    const failure: unknown = await handle(lastId)
      .result()
      .catch((error: unknown) => error as Error & { cause: { type: string; message: string } });
    expect((failure as { cause: unknown }).cause).toMatchObject({
      type: 'InvalidArgument',
      message: expect.stringMatching(where) as unknown as string,
    });
    expect((failure as { cause: Error }).cause.message).toContain(
      'for example {"cluster":"jigga","backup":"latest","database":"gatus"}',
    );
  });

  test.each([
    ['a cluster that is not configured', '{"cluster":"nowhere","database":"gatus"}', 'InvalidArgument', /nowhere/],
    ['a database that no backup holds', '{"cluster":"main","database":"other"}', 'NoSuchBackup', /other/],
    ['a backup that there is not', '{"cluster":"main","backup":"x-1","database":"gatus"}', 'NoSuchBackup', /x-1/],
  ])('a restore of %s fails with a name and a hint, and nothing is made', async (_, input, type, text) => {
    expect(await startByHand('restore', lastId, input)).toMatchObject({ code: 0 });
    const { cause } = await handle(lastId)
      .result()
      .then(
        () => {
          throw new Error('it succeeded');
        },
        (error: unknown) => error as { cause: { cause: { type: string; message: string } } },
      );
    const failure = cause.cause;
    expect(failure).toMatchObject({ type, message: expect.stringMatching(text) as unknown as string });
    expect(failure.message).toMatch(/\(.+\)$/);
    await expectClean(world, server);
  });

  test('every wrong message is refused with its reason, none wedges the run, and the right ones take it to its end', async () => {
    const before = await contents(server, 'gatus');
    await damageLedger(server, 'gatus');
    const untouched = await traces(server, 'gatus');
    const id = lastId;
    expect(await startByHand('restore', id, '{"cluster":"main","backup":"latest","database":"gatus"}')).toMatchObject({
      code: 0,
    });
    const { planDigest } = await untilDecision(handle(id));
    const digest = (planDigest ?? '').slice(0, 12);
    const decision = `{"by":"alice","reason":"read it","plan":"${digest}"}`;

    const wrong: [verb: string, input: string | undefined, why: RegExp][] = [
      ['approve', undefined, /not readable.*object/],
      ['approve', '"yes"', /not readable/],
      ['approve', 'null', /not readable/],
      ['approve', '[]', /not readable/],
      ['approve', '{}', /by/],
      ['approve', '{"by":7,"reason":"x"}', /by/],
      ['approve', '{"by":"alice"}', /reason/],
      ['approve', `{"by":"alice","reason":"x","plan":"${digest}","force":true}`, /force/],
      ['approve', '{"by":"alice","reason":"x","plan":"0123456789ab"}', /never had/],
      ['approve', '{"by":"alice","reason":"x","plan":"abc"}', /12 hex/],
      ['approve', `{"by":"alice","reason":"x","plan":"${digest}","signature":"forged"}`, /signed/],
      ['reject', '{"by":"bob","reason":"x","plan":"0123456789ab"}', /never had/],
      ['undo', '{"by":"alice","reason":"x"}', /nothing to undo/],
      ['release', '{"by":"alice","reason":"x"}', /nothing to release/],
      ['release', undefined, /not readable/],
    ];
    for (const [verb, input] of wrong) expect(await signal(id, verb, input)).toMatchObject({ code: 0 });
    await untilProgress(handle(id), ({ refusals }) => refusals.length === wrong.length);
    const progress = await query(id);
    expect(progress.waitingFor).toBe('decision');
    for (const [index, [verb, , why]] of wrong.entries())
      expect(progress.refusals[index]).toMatchObject({ verb, why: expect.stringMatching(why) as unknown as string });

    for (const [input, why] of [
      [undefined, /not readable/],
      ['"approve"', /not readable/],
      ['{"by":"alice","reason":"x"}', /decision: expected one of/],
      ['{"decision":"approve","by":"alice","reason":"x","plan":"0123456789ab"}', /never had/],
    ] as const) {
      const { code, stdout, stderr } = await update(id, input);
      expect({ code, said: `${stdout}${stderr}` }).toEqual({
        code: 1,
        said: expect.stringMatching(why) as unknown as string,
      });
    }
    expect(await traces(server, 'gatus')).toBe(untouched);

    const taken = await update(id, decision.replace('{', '{"decision":"approve",'));
    expect(taken).toMatchObject({ code: 0, stdout: expect.stringContaining(digest) as unknown as string });
    expect(await signal(id, 'approve', decision)).toMatchObject({ code: 0 });
    expect(await signal(id, 'reject', decision)).toMatchObject({ code: 0 });
    const swapped = await untilFollowUp(handle(id));
    expect(swapped.decisions).toMatchObject([{ verb: 'approve', by: 'alice', authenticated: false }]);
    const late = await untilProgress(handle(id), ({ refusals }) => refusals.length === wrong.length + 2);
    for (const refusal of late.refusals.slice(-2)) expect(refusal.why).toMatch(/already decided|no plan is waiting/);
    expect(await contents(server, 'gatus')).toBe(before);

    const described = await temporalJson<{ workflowExecutionInfo: { status: string } }>(
      world,
      ...['workflow', 'describe', '--workflow-id', id],
    );
    expect(described.workflowExecutionInfo.status).toMatch(/RUNNING/i);
    const { code, stdout } = await workflow('metadata', '--workflow-id', id);
    if (code === 0) expect(stdout).toContain('release');

    expect(await signal(id, 'release', '{"by":"alice","reason":"the application is well"}')).toMatchObject({ code: 0 });
    expect(await handle(id).result()).toMatchObject({ outcome: 'released', database: 'gatus' });
    await expectClean(world, server);
  });

  test('a flood of refused messages keeps the newest fifty and the run alive', async () => {
    const id = lastId;
    await startByHand('restore', id, '{"cluster":"main","database":"gatus"}');
    await untilDecision(handle(id));
    await Promise.all(
      Array.from({ length: 120 }, (_, index) =>
        handle(id).signal(index % 2 === 0 ? 'approve' : 'undo', { by: `somebody ${String(index)}`, nonsense: index }),
      ),
    );
    const { refusals } = await untilProgress(handle(id), (progress) => progress.refusals.length === 50);
    expect(refusals).toHaveLength(50);
    await signal(id, 'reject', '{"by":"alice","reason":"enough"}');
    await expect(handle(id).result()).rejects.toMatchObject({ cause: { type: 'Rejected' } });
    expect(await rowsOf(server, 'gatus')).toBe(1000);
    await expectClean(world, server);
  });
});
