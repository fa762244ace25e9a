import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir } from 'node:fs/promises';
import { startWorld, type World } from '../../parts/world.ts';
import { policiesFor } from './ledger.ts';
import { failureOf } from './runs.ts';

const wrong: [what: string, input: string | undefined, where: RegExp][] = [
  ['nothing at all', undefined, /object/],
  ['a word', '"daily"', /object/],
  ['a number', '7', /object/],
  ['true', 'true', /object/],
  ['null', 'null', /object/],
  ['a list', '[{"policy":"daily"}]', /object/],
  ['an empty object', '{}', /policy/],
  ['a misspelt field', '{"polcy":"daily"}', /polcy/],
  ['a field too many', '{"policy":"daily","force":true}', /force/],
  ['a number for a name', '{"policy":7}', /policy.*string/],
  ['null for a name', '{"policy":null}', /policy/],
  ['an empty name', '{"policy":""}', /policy/],
  ['a path for a name', '{"policy":"../../etc/passwd"}', /policy/],
  ['a table’s own member for a name', '{"policy":"__proto__"}', /policy/],
  ['a name as long as a book', `{"policy":"${'x'.repeat(100_000)}"}`, /policy/],
  ['deep nonsense', `{"policy":${'['.repeat(500)}${']'.repeat(500)}}`, /policy/],
];

/** What is typed into the Web UI's form or after `temporal workflow start --input`. */
describe('a start by hand', () => {
  let world: World;
  let count = 0;

  beforeAll(async () => {
    world = await startWorld();
    await world.addPostgres('main', { major: 15 });
    await world.configure({ policies: policiesFor('main') });
    await world.startWorker();
  });
  afterAll(() => world.stop());

  const failed = async (type: string, input?: string) => {
    count += 1;
    const id = `${type}/by-hand-${String(count)}`;
    const { code } = await world.temporalCommand(
      ...['workflow', 'start', '--type', type, '--task-queue', 'holdfast', '--workflow-id', id],
      ...(input === undefined ? [] : ['--input', input]),
    );
    expect(code).toBe(0);
    return failureOf(world.client.workflow.getHandle(id));
  };

  test.each(wrong)('of a backup with %s fails at once, and says where and how', async (_, input, where) => {
    const { type, message, hint } = await failed('backup', input);
    expect({ type, message }).toEqual({
      type: 'InvalidArgument',
      message: expect.stringMatching(where) as unknown,
    });
    expect(hint).toContain('for example {"policy":"jigga-daily"}');
    expect(message.length).toBeLessThan(1000);
  });

  test.each([...wrong, ['a word for yes', '{"policy":"daily","dryRun":"yes"}', /dryRun.*boolean/]] as typeof wrong)(
    'of a prune with %s fails at once, and says where and how',
    async (_, input, where) => {
      const { type, message, hint } = await failed('prune', input);
      expect({ type, message }).toEqual({
        type: 'InvalidArgument',
        message: expect.stringMatching(where) as unknown,
      });
      expect(hint).toContain('for example {"policy":"jigga-daily","dryRun":true}');
    },
  );

  test.each(['nightly', 'constructor', 'daily-2'])(
    'of a policy that there is not names those there are: %s',
    async (policy) => {
      for (const type of ['backup', 'prune']) {
        const failure = await failed(type, JSON.stringify({ policy }));
        expect(failure).toMatchObject({ type: 'InvalidArgument', hint: 'expected one of: daily' });
        expect(failure.message).toContain(`'${policy}'`);
      }
    },
  );

  test('of all these has written nothing', async () => {
    expect((await readdir(world.repository)).sort()).toEqual(['README.holdfast.txt', 'holdfast.json']);
  });
});
