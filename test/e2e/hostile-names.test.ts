import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { policiesFor } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, start, untilDecision, untilFollowUp } from './runs.ts';

const names = [
  `it's "quoted"`,
  'two\nlines',
  'host=evil.invalid dbname=x',
  '$(id)',
  '`id`; DROP DATABASE postgres',
  '-Fc',
  'postgresql://evil.invalid/x',
  'back\\slash',
  'données-Ω-数据',
  ' spaces ',
  'ü'.repeat(31) + 'x',
];

/** Text that a careless reader of dumps would take for the dump's own. */
const trap = [
  '\\connect postgres',
  '\\.',
  '-- PostgreSQL database cluster dump complete',
  '-- PostgreSQL database dump complete',
  '\\restrict x',
  '\\unrestrict x',
  '\\! touch /tmp/holdfast-was-here',
  'DROP DATABASE postgres;',
  '$$ $body$ $_$',
].join('\n');

describe('databases with hostile names and contents', () => {
  let world: World;
  let server: PostgresServer;

  const query = async (database: string, sql: string, values: readonly unknown[] = []) => {
    const { host, port, user, password } = server;
    const client = new pg.Client({ host, port, user, password, database });
    await client.connect();
    try {
      return (await client.query<Record<string, unknown>>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  };
  const state = async (database: string) => {
    const rows = await query(database, 'SELECT id, body FROM odd.traps ORDER BY id');
    const [fn] = await query(database, 'SELECT odd.trap() AS text, md5(prosrc) FROM pg_proc WHERE proname = $1', [
      'trap',
    ]);
    return { rows, fn };
  };

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major: 15 });
    await world.configure({ policies: policiesFor('main') });
    for (const name of names) {
      await query('postgres', `CREATE DATABASE ${pg.escapeIdentifier(name)}`);
      await query('postgres', `COMMENT ON DATABASE ${pg.escapeIdentifier(name)} IS ${pg.escapeLiteral(trap)}`);
      await query('postgres', `ALTER DATABASE ${pg.escapeIdentifier(name)} SET work_mem = '8MB'`);
      await query(
        name,
        `CREATE SCHEMA odd;
         CREATE TABLE odd.traps (id int PRIMARY KEY, body text);
         CREATE FUNCTION odd.trap() RETURNS text LANGUAGE plpgsql AS ${pg.escapeLiteral(`BEGIN RETURN ${pg.escapeLiteral(trap)}; END`)}`,
      );
      await query(name, 'INSERT INTO odd.traps VALUES (1, $1), (2, $2), (3, $3)', [trap, name, '\\.']);
    }
    await world.startWorker();
  });
  afterAll(() => world.stop());

  test('are all backed up, and no name leads elsewhere', async () => {
    const { status, databases, id } = await backUp(world);
    expect({ status, databases }).toEqual({ status: 'complete', databases: names.length + 2 });
    expect(await world.holdfast('backups', 'verify', id)).toMatchObject({ code: 0 });
    await expectClean(world, server);
  });

  test.each(names)('are restored one by one, with every byte of them: %j', async (name) => {
    const before = await state(name);
    await query(name, 'DELETE FROM odd.traps WHERE id > 1; DROP FUNCTION odd.trap()');
    const run = await start(world, 'restore', { cluster: 'main', database: name });
    await approve(run, await untilDecision(run));
    await untilFollowUp(run);
    expect(await state(name)).toEqual(before);
    await run.signal('release', { by: 'alice', reason: 'enough' });
    expect(await run.result()).toMatchObject({ outcome: 'released', database: name });
    const [comment] = await query(
      'postgres',
      `SELECT shobj_description(oid, 'pg_database') AS text FROM pg_database WHERE datname = $1`,
      [name],
    );
    expect(comment).toEqual({ text: trap });
    await expectClean(world, server);
  });
});
