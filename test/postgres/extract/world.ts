/** A live database and a restored copy of it beside, with tables of every kind that a schema may hold. */
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import { moveIntoSchema, type ExtractOrder, type ExtractReport } from '../../../src/postgres/extract/move.ts';
import { quoteIdent } from '../../../src/postgres/quote.ts';
import { toolsOf } from '../dump/dumping.ts';
import { addressOf, oidOf } from '../swap/pair.ts';

export const run = '1a2b3c4d';

export async function makeRoles(server: PostgresServer): Promise<void> {
  await server.psql(
    'postgres',
    `CREATE ROLE owner_of_app LOGIN; CREATE ROLE "Reader's" NOLOGIN; CREATE ROLE "grantée" NOLOGIN`,
  );
}

/** The live database as it was when the backup was taken, and the copy that was restored from that. */
export async function makePlaces(server: PostgresServer, name: string, contents = sample) {
  await server.psql('postgres', `CREATE DATABASE ${quoteIdent(name)} TEMPLATE template0`);
  await server.psql(name, contents);
  const copy = `${name}_new`;
  await server.psql('postgres', `CREATE DATABASE ${quoteIdent(copy)} TEMPLATE ${quoteIdent(name)}`);
  return { live: { name, oid: await oidOf(server, name) }, copy: { name: copy, oid: await oidOf(server, copy) } };
}

export async function orderFor(
  server: PostgresServer,
  wishes: Pick<ExtractOrder, 'live' | 'copy' | 'selection'> & Partial<ExtractOrder>,
): Promise<ExtractOrder> {
  return {
    server: addressOf(server),
    tools: await toolsOf(server),
    schema: 'restored',
    run,
    systemIdentifier: await server.psql('postgres', 'SELECT system_identifier FROM pg_control_system()'),
    signal: new AbortController().signal,
    ...wishes,
  };
}

export const move = async (...args: Parameters<typeof orderFor>): Promise<ExtractReport> =>
  moveIntoSchema(await orderFor(...args));

/** Everything in the catalogs of a database that is not the new schema's, but what PostgreSQL itself moves. */
export async function catalogsOf(server: PostgresServer, database: string, without = 'restored'): Promise<string> {
  const hidden = `ARRAY['${without.replaceAll("'", "''")}', 'pg_toast']`;
  return server.psql(
    database,
    `SELECT oid, nspname, nspowner, nspacl, obj_description(oid, 'pg_namespace') FROM pg_namespace
      WHERE nspname <> ALL (${hidden}) AND nspname !~ '^pg_(toast_)?temp_' ORDER BY oid;
     SELECT c.oid, relname, relnamespace, reltype, relowner, relfilenode, relkind, relchecks, relhasrules, relhastriggers,
         relhassubclass, relrowsecurity, relforcerowsecurity, relispartition, relacl, reloptions
       FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
      WHERE nspname <> ALL (${hidden}) AND nspname !~ '^pg_(toast_)?temp_' AND c.oid >= 16384 ORDER BY c.oid;
     SELECT t.oid, typname, typowner, typacl FROM pg_type t JOIN pg_namespace n ON n.oid = typnamespace
      WHERE nspname <> ALL (${hidden}) AND nspname !~ '^pg_(toast_)?temp_' AND t.oid >= 16384 ORDER BY t.oid;
     SELECT p.oid, proname, proowner, prosrc, proacl FROM pg_proc p JOIN pg_namespace n ON n.oid = pronamespace
      WHERE nspname <> ALL (${hidden}) AND p.oid >= 16384 ORDER BY p.oid;
     SELECT k.* FROM pg_constraint k JOIN pg_namespace n ON n.oid = connamespace
      WHERE nspname <> ALL (${hidden}) AND nspname !~ '^pg_(toast_)?temp_' AND k.oid >= 16384 ORDER BY k.oid;
     SELECT i.* FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid JOIN pg_namespace n ON n.oid = relnamespace
      WHERE nspname <> ALL (${hidden}) ORDER BY 1, 2;
     SELECT t.oid, tgrelid, tgname, tgenabled FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
       JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname <> ALL (${hidden}) ORDER BY t.oid;
     SELECT * FROM pg_default_acl ORDER BY oid;
     SELECT * FROM pg_extension ORDER BY oid;
     SELECT * FROM pg_publication ORDER BY oid;
     SELECT datname, datdba, datacl, datconnlimit, datallowconn FROM pg_database WHERE datname !~ '^copy_' ORDER BY oid;
     SELECT * FROM pg_db_role_setting ORDER BY 1, 2;
     SELECT oid, * FROM pg_authid ORDER BY oid`,
  );
}

/** Not part of the catalogs: a crash of PostgreSQL moves sequences by itself. */
export const sequencesOf = (server: PostgresServer, database: string) =>
  server.psql(
    database,
    `SELECT schemaname, sequencename, last_value FROM pg_sequences WHERE schemaname <> 'restored' ORDER BY 1, 2`,
  );

/** Sessions of ours, and locks in the two databases that anybody but the asking session holds. */
export const leftBehind = (server: PostgresServer) =>
  server.psql(
    'postgres',
    `SELECT 'session ' || application_name FROM pg_stat_activity WHERE application_name LIKE 'holdfast%';
     SELECT 'lock ' || mode FROM pg_locks l JOIN pg_database d ON d.oid = l.database
      WHERE d.datname <> 'postgres' AND locktype = 'relation' AND pid IN (
        SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'holdfast%')`,
  );

const sample = `
CREATE EXTENSION citext;
CREATE SCHEMA shared;
CREATE TYPE shared.mood AS ENUM ('happy', 'sad');
CREATE DOMAIN shared.price AS numeric(10, 2) CHECK (VALUE >= 0);
CREATE FUNCTION shared.half(int) RETURNS int IMMUTABLE LANGUAGE sql RETURN $1 / 2;
CREATE SEQUENCE shared.counter START 100;
CREATE FUNCTION shared.audit() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN INSERT INTO shared.log VALUES (TG_TABLE_NAME); RETURN NEW; END $$;
CREATE TABLE shared.log (what text);
CREATE TABLE customers (id int PRIMARY KEY, name citext);
INSERT INTO customers SELECT i, 'customer ' || i FROM generate_series(1, 20) i;
CREATE TABLE orders (
  id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
  number serial UNIQUE,
  customer int REFERENCES customers,
  mood shared.mood NOT NULL DEFAULT 'happy',
  price shared.price,
  quarter int GENERATED ALWAYS AS (shared.half(customer)) STORED,
  ticket bigint DEFAULT nextval('shared.counter'),
  name citext,
  body text,
  CHECK (number > 0));
INSERT INTO orders (customer, price, name, body) SELECT 1 + i % 20, i * 1.25, 'n' || i, repeat(md5(i::text), 20) FROM generate_series(1, 500) i;
INSERT INTO orders (customer, body) SELECT 1, string_agg(md5(i::text || j), '') FROM generate_series(1, 4) j, generate_series(1, 20000) i GROUP BY j;
CREATE INDEX orders_by_customer ON orders (customer) WHERE price > 10;
CREATE STATISTICS orders_stats ON customer, mood FROM orders;
COMMENT ON TABLE orders IS E'it''s\\n\\\\connect evil';
COMMENT ON COLUMN orders.body IS 'the body';
ALTER TABLE orders OWNER TO owner_of_app;
GRANT SELECT ON orders TO "Reader's";
GRANT UPDATE (body) ON orders TO "grantée";
ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
ALTER TABLE orders FORCE ROW LEVEL SECURITY;
CREATE POLICY mine ON orders TO "Reader's" USING (customer > 3);
CREATE TRIGGER audit AFTER INSERT OR UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION shared.audit();
CREATE RULE quiet AS ON DELETE TO orders DO ALSO NOTIFY gone;
CREATE VIEW expensive AS SELECT id FROM orders WHERE price > 100;
CREATE TABLE events (at date NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE events_2025 PARTITION OF events FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE events_2026 PARTITION OF events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (what);
CREATE TABLE events_2026_a PARTITION OF events_2026 FOR VALUES IN ('a');
CREATE TABLE events_2026_b PARTITION OF events_2026 DEFAULT;
CREATE INDEX events_at ON events (at);
INSERT INTO events SELECT date '2025-06-01' + i, chr(97 + i % 3) FROM generate_series(0, 399) i;
CREATE TABLE parent (i int);
CREATE TABLE child (j int) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 2), (2, 3);
CREATE SCHEMA "odd ""sch.ema";
CREATE TABLE "odd ""sch.ema"."odd 'table.
line" ("co""l" text);
INSERT INTO "odd ""sch.ema"."odd 'table.
line" VALUES (E'\\\\.'), (E'\\\\connect evil'), (NULL);
CREATE SCHEMA "orders"; CREATE TABLE "orders"."orders" (i int); INSERT INTO orders.orders VALUES (1), (2), (3);
CREATE TABLE "${'é'.repeat(31)}x" (i int); INSERT INTO "${'é'.repeat(31)}x" VALUES (1);
CREATE SCHEMA whole AUTHORIZATION owner_of_app;
COMMENT ON SCHEMA whole IS 'the whole of it';
GRANT USAGE ON SCHEMA whole TO "Reader's";
CREATE TYPE whole.kind AS ENUM ('x', 'y');
CREATE TYPE whole.pair AS (a int, b whole.kind);
CREATE TYPE whole.span AS RANGE (subtype = int);
CREATE DOMAIN whole.positive AS int CHECK (VALUE > 0);
CREATE EXTENSION hstore SCHEMA whole;
CREATE TABLE whole.things (id serial PRIMARY KEY, kind whole.kind, pair whole.pair, span whole.span, n whole.positive, h whole.hstore);
CREATE TABLE whole.parts (thing int REFERENCES whole.things, customer int REFERENCES customers);
INSERT INTO whole.things (kind, pair, span, n, h) SELECT 'x', ROW(i, 'y'::whole.kind)::whole.pair, whole.span(i, i + 2), i, 'a=>1' FROM generate_series(1, 30) i;
INSERT INTO whole.parts SELECT i, 1 FROM generate_series(1, 30) i;
CREATE FUNCTION whole.describe(whole.kind, whole.pair) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN (SELECT count(*) FROM whole.things); END $$;
CREATE AGGREGATE whole.total(int) (SFUNC = int4pl, STYPE = int);
CREATE OPERATOR whole.@+@ (LEFTARG = whole.kind, RIGHTARG = whole.pair, FUNCTION = whole.describe);
CREATE SEQUENCE whole.free START 7; SELECT nextval('whole.free');
CREATE VIEW whole.summary AS SELECT kind, count(*) FROM whole.things GROUP BY kind;
CREATE MATERIALIZED VIEW whole.mat AS SELECT sum(thing) FROM whole.parts`;
