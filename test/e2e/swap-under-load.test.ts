import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { contents, createLedger, damageLedger, oidOf, policiesFor, rowsOf, traces } from './ledger.ts';
import { expectClean } from './oracle.ts';
import { approve, backUp, start, untilDecision, untilFollowUp, untilProgress } from './runs.ts';

const clients = 25;

describe('a swap of a database that is in use', () => {
  let world: World;
  let server: PostgresServer;
  const release = { by: 'alice', reason: 'enough' };

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', {
      major: 15,
      settings: { wal_level: 'logical', max_prepared_transactions: '5' },
    });
    await world.configure({ policies: policiesFor('main') });
    for (const name of ['gatus', 'app', 'vault']) await createLedger(server, name);
    await world.startWorker();
    await backUp(world);
    for (const name of ['gatus', 'app', 'vault']) await damageLedger(server, name);
  });
  afterAll(() => world.stop());

  test('by 25 clients that reconnect and write: no acknowledged write is lost, and all get on with the new one', async () => {
    const run = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    const waiting = await untilDecision(run);
    const written: { note: string; oid: number }[] = [];
    const stop = new AbortController();
    const going = () => !stop.signal.aborted;
    const client = async (number: number): Promise<void> => {
      for (let turn = 0; going(); turn += 1) {
        const session = new pg.Client({ connectionString: server.url('gatus') });
        session.on('error', () => undefined);
        try {
          await session.connect();
          for (let insert = 0; going() && insert < 5; insert += 1) {
            const note = `client ${String(number)}, ${String(turn)}/${String(insert)}`;
            const { rows } = await session.query<{ oid: number }>(
              `INSERT INTO ledger.entries (note) VALUES ($1)
               RETURNING (SELECT oid FROM pg_database WHERE datname = current_database()) AS oid`,
              [note],
            );
            written.push({ note, oid: rows[0]?.oid ?? 0 });
          }
        } catch {
          // refused or ended: tries again, as an application would
        } finally {
          await session.end().catch(() => undefined);
        }
        await sleep(5);
      }
    };
    const all = Array.from({ length: clients }, (_, number) => client(number));
    const perClient = (oid: number | undefined) =>
      new Set(written.filter((write) => write.oid === oid).map(({ note }) => note.split(',')[0])).size;
    const { liveOid, copyOid } = { liveOid: waiting.plan?.facts.target.liveOid, copyOid: waiting.plan?.facts.copyOid };
    while (perClient(liveOid ?? undefined) < clients) await sleep(20);
    await approve(run, waiting);
    const { plan } = await untilFollowUp(run);
    while (perClient(copyOid ?? undefined) < clients) await sleep(20);
    stop.abort();
    await Promise.all(all);

    const old = plan?.facts.oldName ?? '';
    await server.psql('postgres', `ALTER DATABASE ${old} ALLOW_CONNECTIONS true`);
    const notes = async (database: string) =>
      new Set((await server.psql(database, 'SELECT note FROM ledger.entries')).split('\n'));
    const [inOld, inNew] = [await notes(old), await notes('gatus')];
    const lost = written.filter(({ note, oid }) => !(oid === liveOid ? inOld : inNew).has(note));
    expect(lost).toEqual([]);
    expect(written.filter(({ oid }) => oid !== liveOid && oid !== copyOid)).toEqual([]);
    await run.signal('release', release);
    await run.result();
    await expectClean(world, server);
  });

  test.each([
    {
      what: 'a prepared transaction',
      database: 'app',
      make: "BEGIN; INSERT INTO ledger.entries (note) VALUES ('prepared'); PREPARE TRANSACTION 'in-doubt'",
      cure: "COMMIT PREPARED 'in-doubt'",
      named: 'in-doubt',
    },
    {
      what: 'a logical slot',
      database: 'vault',
      make: "SELECT pg_create_logical_replication_slot('feed', 'test_decoding')",
      cure: "SELECT pg_drop_replication_slot('feed')",
      named: 'feed',
    },
  ])(
    'with $what: not swapped, said why, and swapped after it is settled and approved anew',
    async ({ database, make, cure, named }) => {
      await server.psql(database, make);
      const untouched = await traces(server, database);
      const run = await start(world, 'restore', { cluster: 'main', database });
      const first = await untilDecision(run);
      expect(first.plan?.obstacles).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ weight: 'swap', what: expect.stringContaining(named) as unknown as string }),
        ]),
      );
      await approve(run, first);
      const failed = await untilProgress(
        run,
        ({ steps, waitingFor }) =>
          waitingFor === 'decision' && steps.some(({ name, status }) => name === 'swap' && status === 'failed'),
      );
      expect(failed.steps.find(({ name }) => name === 'swap')?.note).toContain(named);
      expect(await traces(server, database)).toBe(untouched);

      await server.psql(database, cure);
      await approve(run, await untilDecision(run));
      const { plan } = await untilFollowUp(run);
      expect(await oidOf(server, database)).toBe(plan?.facts.copyOid);
      expect(await rowsOf(server, database)).toBe(1000);
      expect(await contents(server, database)).toContain('1000');
      await run.signal('release', release);
      await run.result();
      await expectClean(world, server);
    },
  );
});
