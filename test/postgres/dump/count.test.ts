import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { connect, type Session } from '../../../src/postgres/connection.ts';
import { batches, countRows } from '../../../src/postgres/dump/count.ts';
import { beginSnapshot } from '../../../src/postgres/dump/snapshot.ts';
import { listTables, type TableEntry } from '../../../src/postgres/inspect-database.ts';
import { readIdentity } from '../../../src/postgres/inspect.ts';
import { addressOf } from '../swap/pair.ts';

describe('batches', () => {
  const table = (oid: number, pages: number, holdsRows = true): TableEntry => ({
    ...{ oid, schema: 's', name: `t${String(oid)}`, filenode: String(oid), pages, holdsRows },
  });

  it('put small tables together and leave large ones alone', () => {
    const found = batches([table(1, 10), table(2, 10), table(3, 5_000), table(4, 0), table(5, 999), table(6, 2)]);
    expect(found.map((batch) => batch.map(({ oid }) => oid))).toEqual([[1, 2], [3], [4, 5], [6]]);
  });

  it('hold no more than a hundred tables', () => {
    const found = batches(Array.from({ length: 250 }, (_, index) => table(index, 0)));
    expect(found.map((batch) => batch.length)).toEqual([100, 100, 50]);
  });

  it('leave out what holds no rows of its own', () => {
    expect(batches([table(1, 0, false)])).toEqual([]);
  });
});

describe('counting in a snapshot', () => {
  let server: PostgresServer;
  let session: Session;
  let other: Session;

  beforeAll(async () => {
    server = await startPostgres({ major: 15 });
    await server.psql(
      'postgres',
      `CREATE TABLE kept AS SELECT generate_series(1, 10);
       CREATE TABLE cut AS SELECT generate_series(1, 20);
       CREATE TABLE dropped AS SELECT generate_series(1, 30);
       CREATE TABLE held AS SELECT generate_series(1, 40);
       CREATE TABLE "odd "" 'name" AS SELECT generate_series(1, 50)`,
    );
    session = await connect(addressOf(server));
    other = await connect(addressOf(server));
    await beginSnapshot(session, (await readIdentity(other)).systemIdentifier);
  });

  afterAll(async () => {
    await Promise.all([session.close(), other.close()]);
    await server.stop();
  });

  const counted = async (tables: readonly TableEntry[]) => {
    const { rows, warning } = await countRows(session, tables);
    return { rows: Object.fromEntries(tables.map(({ oid, name }) => [name, rows.get(oid) ?? null])), warning };
  };

  it('sees the rows of the snapshot, and takes no count for one whose rows or lock it could not have', async () => {
    const tables = await listTables(session);
    await other.query(
      `INSERT INTO public.kept VALUES (11);
       TRUNCATE public.cut;
       DROP TABLE public.dropped;
       BEGIN; LOCK TABLE public.held`,
    );
    const { rows, warning } = await counted(tables);
    await other.query('ROLLBACK');
    expect(rows).toEqual({ kept: 10, cut: null, dropped: null, held: null, [`odd " 'name`]: 50 });
    expect(warning).toMatch(/^the rows of public\.\w+ and 2 more were not counted: /);
  });

  it('goes on in the same transaction', async () => {
    expect((await counted((await listTables(session)).filter(({ name }) => name === 'kept'))).rows).toEqual({
      kept: 10,
    });
  });

  it('never fails, not even with its session', async () => {
    const tables = await listTables(session);
    await server.psql('postgres', `SELECT pg_terminate_backend(${String(session.backendPid)}, 10000)`);
    const { rows, warning } = await countRows(session, tables);
    expect(rows.size).toBe(0);
    expect(warning).toMatch(/were not counted/);
  });

  it('is refused where the address leads to another server since', async () => {
    await expect(beginSnapshot(other, '1')).rejects.toMatchObject({ type: 'PostgresRefused' });
  });
});
