import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { printed } from '../dump/dumping.ts';
import { catalogsOf, leftBehind, makePlaces, makeRoles, move, sequencesOf } from './world.ts';

const majors = availableMajors().filter((major) => major !== 16);

describe.each(majors)('tables put into a new schema, on postgresql %i,', (major) => {
  let server: PostgresServer;
  let places: Awaited<ReturnType<typeof makePlaces>>;
  let count = 0;

  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeRoles(server);
    places = await makePlaces(server, 'app');
  });
  afterAll(() => server.stop());

  /** The same live database again, with a fresh copy. */
  const fresh = async () => {
    const copy = `copy_${String((count += 1))}`;
    await server.psql('postgres', `CREATE DATABASE ${copy} TEMPLATE app_new`);
    const oid = Number(await server.psql('postgres', `SELECT oid FROM pg_database WHERE datname = '${copy}'`));
    return { live: places.live, copy: { name: copy, oid } };
  };
  const ask = (sql: string) => server.psql('app', sql);

  it('hold the same rows, types, keys, policies, comments and privileges, and touch nothing else', async () => {
    await ask('DELETE FROM orders WHERE number > 50');
    const before = await catalogsOf(server, 'app');
    const sequences = await sequencesOf(server, 'app');
    const progress: number[] = [];
    const report = await move(server, {
      ...(await fresh()),
      selection: { schemas: [], tables: [['public', 'orders']] },
      onProgress: (bytes) => progress.push(bytes),
    });
    expect(report).toMatchObject({ tables: 1, rows: 504 });
    expect(await catalogsOf(server, 'app')).toBe(before);
    expect(await sequencesOf(server, 'app')).toBe(sequences);
    expect(progress.at(-1)).toBeGreaterThan(10_000);

    const dump = await printed(server, 'pg_dump', 'app', '--schema=restored');
    expect(dump).toContain('ALTER TABLE restored.orders OWNER TO owner_of_app');
    expect(dump).toContain('mood shared.mood DEFAULT');
    expect(dump).toContain('GENERATED ALWAYS AS (shared.half(customer)) STORED');
    expect(dump).toContain('CREATE INDEX orders_by_customer ON restored.orders');
    expect(dump).toContain('CREATE STATISTICS restored.orders_stats');
    expect(dump).toContain('CREATE POLICY mine ON restored.orders TO "Reader\'s"');
    expect(dump).toContain('FORCE ROW LEVEL SECURITY');
    expect(dump).toContain('GRANT SELECT ON TABLE restored.orders TO "Reader\'s"');
    expect(dump).toContain('GRANT UPDATE(body) ON TABLE restored.orders TO "grantée"');
    expect(dump).not.toMatch(/FOREIGN KEY|CREATE TRIGGER|CREATE RULE/);
    expect(
      await ask(`SELECT nspowner::regrole, obj_description(oid) FROM pg_namespace WHERE nspname = 'restored'`),
    ).toBe('owner_of_app|holdfast: restore 1a2b3c4d, loaded');
    expect(await ask(`SELECT obj_description('restored.orders'::regclass)`)).toBe("it's\n\\connect evil");
    expect(await ask(`INSERT INTO restored.orders (customer) VALUES (5) RETURNING id, number`)).toBe('505|505');
    expect(await ask('SELECT count(*) FROM shared.log')).toBe('0');
    expect(
      await ask(
        `SELECT count(*) FROM restored.orders r JOIN orders o USING (id) WHERE r.body = o.body AND r.name = o.name`,
      ),
    ).toBe('50');
    expect(await ask(`SELECT reltuples > 0 FROM pg_class WHERE oid = 'restored.orders'::regclass`)).toBe('t');
    expect(report.notes).toEqual([
      'foreign keys to tables that were not chosen are left out: "orders_customer_fkey" of public.orders',
      'triggers are left out: "audit" of public.orders',
      'rules are left out: "quiet" of public.orders',
      "the live database's own are meant where the tables refer to: extension citext, function shared.half(integer), sequence shared.counter, type shared.mood, type shared.price",
      'views that read the tables are left out: public.expensive',
    ]);
    expect(await leftBehind(server)).toBe('');
  });

  it('bring all their partitions, of every level', async () => {
    const report = await move(server, {
      ...(await fresh()),
      schema: 'parts',
      selection: { schemas: [], tables: [['public', 'events']] },
    });
    expect(report).toEqual({ tables: 5, rows: 400, notes: [] });
    expect(await ask('SELECT count(*) FROM parts.events')).toBe('400');
    expect(await ask(`SELECT count(*) FROM pg_partition_tree('parts.events')`)).toBe('5');
    expect(await ask('SELECT count(*) FROM events')).toBe('400');
  });

  it('bring partitions that lie in other schemas, too, and name what large objects they leave behind', async () => {
    const other = await makePlaces(
      server,
      `elsewhere_${String((count += 1))}`,
      `CREATE SCHEMA parted; CREATE SCHEMA partitions;
       CREATE TABLE parted.log (i int, file oid) PARTITION BY RANGE (i);
       CREATE TABLE partitions.log_0 PARTITION OF parted.log FOR VALUES FROM (0) TO (10);
       INSERT INTO parted.log SELECT i, 4711 FROM generate_series(0, 6) i;
       SELECT lo_from_bytea(4711, 'large')`,
    );
    const report = await move(server, { ...other, selection: { schemas: ['parted'], tables: [] } });
    const notes = ['large objects are left out; columns that may refer to some: log.file, log_0.file'];
    expect(report).toEqual({ tables: 2, rows: 7, notes });
    expect(await server.psql(other.live.name, 'SELECT count(*) FROM restored.log')).toBe('7');
  });

  it('never become a partition or a child of a live table', async () => {
    const report = await move(server, {
      ...(await fresh()),
      schema: 'loose',
      selection: {
        schemas: [],
        tables: [
          ['public', 'events_2025'],
          ['public', 'child'],
        ],
      },
    });
    expect(report).toMatchObject({ tables: 2, rows: 216 });
    expect(report.notes).toEqual([
      'tables that are no longer partition or child of a table that was not chosen: public.child of public.parent, public.events_2025 of public.events',
    ]);
    expect(await ask('SELECT (SELECT count(*) FROM events), (SELECT count(*) FROM parent)')).toBe('400|3');
    expect(await ask('SELECT i, j FROM loose.child ORDER BY 1')).toBe('1|2\n2|3');
  });

  it('leave their children behind, and say so', async () => {
    const report = await move(server, {
      ...(await fresh()),
      schema: 'only parent',
      selection: { schemas: [], tables: [['public', 'parent']] },
    });
    expect(report).toEqual({
      tables: 1,
      rows: 1,
      notes: ['tables that inherit from the chosen ones are left out: public.child'],
    });
  });

  it.each([
    [`quote"s and 'apostrophes'`],
    ['new\nline.with dots'],
    ['$(id) * ? [a-z] | \\back'],
    ['é'.repeat(31) + 'x'],
    ['--schema=public'],
  ])('may be put into a schema named %j', async (schema) => {
    const odd = [`odd "sch.ema`, `odd 'table.\nline`] as const;
    const report = await move(server, {
      ...(await fresh()),
      schema,
      selection: { schemas: [], tables: [odd, ['public', 'é'.repeat(31) + 'x']] },
    });
    expect(report).toEqual({ tables: 2, rows: 4, notes: [] });
    expect(
      await ask(`SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
        WHERE relkind = 'r' AND nspname = E'${schema.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`),
    ).toBe('2');
  });

  it('may bear the name of their schema, old and new', async () => {
    await server.psql('app', 'DROP SCHEMA orders CASCADE');
    const report = await move(server, {
      ...(await fresh()),
      schema: 'orders',
      selection: { schemas: [], tables: [['orders', 'orders']] },
    });
    expect(report).toEqual({ tables: 1, rows: 3, notes: [] });
    expect(await ask('SELECT count(*) FROM orders.orders')).toBe('3');
  });

  it('come with their whole schema: types, functions, views, sequences, its owner and privileges', async () => {
    const report = await move(server, {
      ...(await fresh()),
      schema: 'again',
      selection: { schemas: ['whole'], tables: [] },
    });
    expect(report).toMatchObject({ tables: 3, rows: 60 });
    expect(report.notes).toEqual([
      'foreign keys to tables that were not chosen are left out: "parts_customer_fkey" of whole.parts',
      "the live database's own are meant where the tables refer to: extension hstore",
      "functions keep their text: where it names schema 'whole', it means the live database's",
    ]);
    const dump = (schema: string) => printed(server, 'pg_dump', 'app', `--schema=${schema}`);
    const known = (text: string, schema: string) =>
      text
        .replaceAll(`${schema}.`, 's.')
        .replaceAll(/^(CREATE|ALTER|GRANT .* ON) SCHEMA \w+/gm, '$1 SCHEMA s')
        .replaceAll(/; Schema: \w+;/g, '; Schema: s;')
        .split('\n')
        .filter((line) => !/customer|COMMENT ON SCHEMA|^-- /.test(line))
        .join('\n')
        .replaceAll(/s\.hstore/g, 'hstore');
    expect(known(await dump('again'), 'again')).toContain('CREATE OPERATOR s.@+@');
    expect(known(await dump('again'), 'again').replaceAll('whole.hstore', 'hstore')).toContain(
      'ALTER SCHEMA s OWNER TO owner_of_app',
    );
    for (const name of ['kind', 'pair', 'span', 'positive']) {
      expect(await ask(`SELECT to_regtype('again.${name}') IS NOT NULL`)).toBe('t');
    }
    expect(await ask(`SELECT obj_description('again'::regnamespace)`)).toBe(
      'holdfast: restore 1a2b3c4d, loaded\nthe whole of it',
    );
    expect(await ask(`SELECT has_schema_privilege('Reader''s', 'again', 'USAGE')`)).toBe('t');
    expect(await ask(`SELECT nextval('again.free'), again.total(1), (SELECT * FROM again.mat)`)).toBe('8|1|465');
    expect(
      await ask(`SELECT conname FROM pg_constraint WHERE contype = 'f' AND conrelid = 'again.parts'::regclass`),
    ).toBe('parts_thing_fkey');
  });

  it('may be whole schemas and single tables together, the public one too', async () => {
    await move(server, {
      ...(await fresh()),
      schema: 'all',
      selection: { schemas: ['public', 'shared'], tables: [['whole', 'parts']] },
    });
    expect(
      await ask(
        `SELECT string_agg(tablename, ' ' ORDER BY tablename COLLATE "C") FROM pg_tables WHERE schemaname = 'all'`,
      ),
    ).toBe(
      `child customers events events_2025 events_2026 events_2026_a events_2026_b log orders parent parts ${'é'.repeat(31)}x`,
    );
    expect(await ask(`SELECT count(*) FROM "all".expensive`)).toBe(
      await ask(`SELECT count(*) FROM "all".orders WHERE price > 100`),
    );
    expect(await ask(`SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'citext'`)).toBe('public');
    expect(await ask(`SELECT pg_get_serial_sequence('"all".orders', 'number')`)).toBe('"all".orders_number_seq');
  });
});
