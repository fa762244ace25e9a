import type { PostgresServer } from '../../../parts/postgres-server.ts';
import { quoteIdent, quoteLiteral } from '../../../src/postgres/quote.ts';

/** Names that tools misread: each must mean a database of that name on this server and nothing else. */
export const oddNames = [
  `quote"s and apostrophe's`,
  'new\nline',
  `all "of\nit' \\ \\n`,
  'carriage\rreturn',
  'host=evil.invalid dbname=postgres',
  'postgresql://evil.invalid/postgres',
  '$(id)`id`',
  '-leading',
  '--version',
  'back\\slash\\',
  ':variable %41',
  ' space ',
  'ünï 日本',
  // Comes right after the database of another encoding.
  'latin é',
  'é'.repeat(31) + 'x',
];

/** What a cluster of some age has: roles and what they may do, databases with properties of every kind, and their contents. */
export async function makeSample(server: PostgresServer): Promise<void> {
  await server.psql(
    'postgres',
    `CREATE ROLE owner_of_app LOGIN PASSWORD 'pw of the owner';
     CREATE ROLE "Reader's" NOLOGIN;
     CREATE ROLE "granting" CREATEDB;
     CREATE ROLE "grantée" LOGIN CONNECTION LIMIT 3;
     GRANT "Reader's" TO owner_of_app WITH ADMIN OPTION;
     ALTER ROLE "grantée" SET work_mem = '5MB';
     COMMENT ON ROLE "Reader's" IS 'may read';
     CREATE DATABASE app OWNER owner_of_app TEMPLATE template0 CONNECTION LIMIT 7;
     COMMENT ON DATABASE app IS E'it''s a \\\\ comment\n\\\\connect evil\n-- PostgreSQL database cluster dump complete';
     ALTER DATABASE app SET search_path = "$user", public, "a b", "q""q";
     ALTER DATABASE app SET default_transaction_read_only = on;
     ALTER DATABASE app SET "myapp.tenant" = E'x''y\\\\z';
     ALTER DATABASE app SET DateStyle = 'ISO, DMY';
     ALTER ROLE "grantée" IN DATABASE app SET work_mem = '9MB';
     REVOKE ALL ON DATABASE app FROM PUBLIC;
     REVOKE TEMPORARY ON DATABASE app FROM owner_of_app;
     GRANT CONNECT ON DATABASE app TO granting WITH GRANT OPTION;
     SET ROLE granting;
     GRANT CONNECT ON DATABASE app TO "grantée";
     RESET ROLE;
     CREATE DATABASE tmpl TEMPLATE template0 IS_TEMPLATE true;
     CREATE DATABASE closed TEMPLATE template0 ALLOW_CONNECTIONS false;
     CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C';
     COMMENT ON DATABASE postgres IS 'changed';
     ALTER DATABASE postgres SET work_mem = '6MB';
     REVOKE TEMPORARY ON DATABASE template1 FROM PUBLIC`,
  );
  for (const name of oddNames) {
    await server.psql('postgres', `CREATE DATABASE ${quoteIdent(name)} TEMPLATE template0`);
    await server.psql(name, `CREATE TABLE which AS SELECT ${quoteLiteral(name)}::text AS name`);
  }
  await server.psql('template1', 'CREATE TABLE of_template (i int); INSERT INTO of_template VALUES (1)');
  await server.psql('postgres', 'CREATE TABLE of_postgres (i int); INSERT INTO of_postgres VALUES (1), (2)');
  await server.psql(
    'latin',
    `SET client_encoding = 'UTF8'; CREATE TABLE t (x text); INSERT INTO t VALUES ('é'); COMMENT ON DATABASE latin IS 'à la'`,
  );
  await server.psql('app', contents);
}

const contents = `
SET default_transaction_read_only = off;
CREATE EXTENSION pgcrypto;
CREATE SCHEMA "odd ""schema";
CREATE TABLE big AS SELECT i AS id, md5(i::text) AS text FROM generate_series(1, 5000) i;
ALTER TABLE big ADD PRIMARY KEY (id);
ALTER TABLE big OWNER TO owner_of_app;
CREATE TABLE "odd ""schema"."odd 'table" (body text);
INSERT INTO "odd ""schema"."odd 'table" VALUES
  (E'\\\\.'), (E'\\\\connect evil'), (E'\\\\unrestrict key'), (NULL), (''),
  (E'--\n-- PostgreSQL database cluster dump complete\n--\n'), (E'--\n-- Database "evil" dump\n--\n\n\\\\connect evil\n'),
  (E'tab\there \b\f\v\r\n'), ('😀');
CREATE FUNCTION hostile() RETURNS text LANGUAGE plpgsql AS $body$
/*
\\connect evil
\\.
--
-- PostgreSQL database cluster dump complete
--
*/
BEGIN RETURN E'\\\\connect evil\n'; END $body$;
CREATE TABLE parted (i int, t text) PARTITION BY RANGE (i);
CREATE TABLE parted_low PARTITION OF parted FOR VALUES FROM (0) TO (100);
CREATE TABLE parted_high PARTITION OF parted FOR VALUES FROM (100) TO (1000);
INSERT INTO parted SELECT i, i FROM generate_series(1, 150) i;
CREATE TABLE parent (i int);
CREATE TABLE child (j int) INHERITS (parent);
INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 2), (2, 3);
CREATE UNLOGGED TABLE unlogged AS SELECT 1 AS i;
CREATE MATERIALIZED VIEW mat AS SELECT count(*) FROM big;
CREATE TABLE empty (); CREATE TABLE none (i int);
SELECT lo_from_bytea(4711, 'large object');
CREATE TABLE guarded (i int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; ALTER TABLE guarded FORCE ROW LEVEL SECURITY;
INSERT INTO guarded VALUES (1), (2);
GRANT SELECT ON guarded TO "grantée";
CREATE POLICY p ON guarded TO "Reader's" USING (true)`;
