import { describe, expect, test } from '@jest/globals';
import { expectGolden } from '../../golden.ts';
import { judge } from '../../../src/postgres/script/judge.ts';
import { Scanner } from '../../../src/postgres/script/scan.ts';

/** One line for each statement: what it needs, what it is about, and how it begins. */
function judgements(script: string): string {
  const lines: string[] = [];
  const nothing = () => undefined;
  const scanner = new Scanner({
    ...{ blank: nothing, meta: nothing, rows: nothing, rowsEnd: nothing },
    statement(statement) {
      const { needs, what, subject } = judge(statement);
      const text = statement.bytes.toString().replace(/\s+/g, ' ').trim().slice(0, 110);
      lines.push(
        `${needs.padEnd(11)} ${(subject ?? '-').padEnd(14)} ${text}${what === '' ? '' : `\n            → ${what}`}`,
      );
    },
  });
  scanner.push(Buffer.from(script));
  expect(scanner.end()).toBeNull();
  return lines.join('\n');
}

const dumped = `
SET statement_timeout = 0; SET client_encoding = 'UTF8'; SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET search_path = public, pg_catalog; SET default_tablespace = ''; SET SESSION AUTHORIZATION 'x'; RESET SESSION AUTHORIZATION;
CREATE DATABASE a WITH TEMPLATE = template0; ALTER ROLE a IN DATABASE b SET x TO 'y'; GRANT CONNECT ON DATABASE a TO b;
UPDATE pg_catalog.pg_database SET datistemplate = false WHERE datname = 'a';
CREATE ROLE a; ALTER ROLE a WITH SUPERUSER; GRANT a TO b; GRANT SET ON PARAMETER x TO y; CREATE TABLESPACE t LOCATION '/x';
ALTER TABLE IF EXISTS ONLY s.t DROP CONSTRAINT IF EXISTS c; DROP TABLE IF EXISTS t; SELECT pg_catalog.lo_unlink('1');
ALTER TABLE ONLY s.t ALTER COLUMN a DROP DEFAULT;
CREATE TABLE s.t (a int DEFAULT nextval('x'::regclass) NOT NULL, CONSTRAINT c CHECK ((a > 0))); CREATE UNLOGGED TABLE u ();
CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN END $$; CREATE OR REPLACE PROCEDURAL LANGUAGE plperl;
CREATE FUNCTION f(x integer) RETURNS trigger AS 'x' LANGUAGE 'sql';
CREATE MATERIALIZED VIEW m AS SELECT 1 WITH NO DATA; REFRESH MATERIALIZED VIEW m;
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false, slot_name = 's'); ALTER SUBSCRIPTION s OWNER TO x;
CREATE VIEW v AS SELECT pg_read_file('x'); GRANT ALL ON FUNCTION pg_catalog.pg_read_file(text) TO x;
INSERT INTO s.t VALUES (1, -2.5, 'x', NULL, true), (B'1', X'ff', E'\\\\', DEFAULT); INSERT INTO t DEFAULT VALUES;
INSERT INTO "T" (a, "B") OVERRIDING SYSTEM VALUE VALUES (1, 'NaN') ON CONFLICT DO NOTHING;
SELECT pg_catalog.setval('s.t_id_seq', 42, true); SELECT pg_catalog.setval('x', -5, false);
SELECT pg_catalog.lo_create('1'); SELECT pg_catalog.lo_open('1', 131072); SELECT pg_catalog.lowrite(0, '\\x00'); SELECT pg_catalog.lo_close(0);
BEGIN; COMMIT; ALTER LARGE OBJECT 1 OWNER TO x; GRANT SELECT ON LARGE OBJECT 1 TO x;
SELECT * FROM pg_catalog.pg_restore_relation_stats('version', '180000'::integer, 'schemaname', 's', 'reltuples', '-1'::real);
SELECT * FROM pg_catalog.pg_restore_attribute_stats('a', '{1,2}'::real[], 'inherited', 'f'::boolean);
ALTER TABLE ONLY a.b ADD CONSTRAINT c FOREIGN KEY (x) REFERENCES y(z); CREATE TRIGGER t BEFORE INSERT ON x EXECUTE FUNCTION f();
CREATE RULE r AS ON INSERT TO t DO ALSO ( INSERT INTO u VALUES (1); NOTIFY x ); CREATE EVENT TRIGGER e ON sql_drop EXECUTE FUNCTION f();
ALTER DEFAULT PRIVILEGES FOR ROLE x REVOKE ALL ON TABLES FROM PUBLIC; SECURITY LABEL FOR p ON TABLE t IS 'x';
CREATE SERVER s FOREIGN DATA WRAPPER w; CREATE USER MAPPING FOR x SERVER s; ALTER INDEX i ATTACH PARTITION j;
`;

const forged = `
ALTER SYSTEM SET x = 'y'; LOAD 'evil'; COPY t TO PROGRAM 'x'; COPY t FROM '/etc/passwd'; COPY (SELECT 1) TO '/x'; COPY t TO stdout;
CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'x', 'y'; CREATE FUNCTION f() RETURNS int AS 'x' LANGUAGE "plpython3u";
CREATE FUNCTION f() RETURNS int AS 'x' LANGUAGE U&"plpgsql"; CREATE FUNCTION f(language int) RETURNS int LANGUAGE internal AS 'x';
CREATE PROCEDURE p() AS 'x' LANGUAGE 'plsh'; CREATE LANGUAGE plpython3u; CREATE TRUSTED LANGUAGE plpgsql HANDLER f;
CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p; CREATE SUBSCRIPTION s CONNECTION 'x' PUBLICATION p WITH (connect = false, connect = true);
ALTER SUBSCRIPTION s ENABLE; IMPORT FOREIGN SCHEMA x FROM SERVER y INTO z;
SELECT pg_read_file('x'); SELECT lo_import('x'); SELECT "lo_export"(1, 'x'); SELECT dblink_exec('x'); SELECT U&"x"('y');
INSERT INTO t VALUES (pg_read_file('x')); INSERT INTO t SELECT f(a) FROM b UNION ALL VALUES (1); INSERT INTO t VALUES (now());
CREATE TABLE t (a text DEFAULT pg_read_file('x')); CREATE INDEX ON t (pg_ls_dir(a)); CREATE TABLE t AS SELECT 1;
CREATE MATERIALIZED VIEW m AS SELECT 1; CREATE TEMP TABLE t (); CREATE SCHEMA s CREATE TABLE t ();
SELECT 1; DO 'x'; UPDATE t SET a = 1; DELETE FROM t; VACUUM; CALL p(); TRUNCATE t; EXPLAIN ANALYZE SELECT 1; WITH x AS (SELECT 1) SELECT 1;
SELECT pg_catalog.set_config('role', 'x', false); SELECT pg_catalog.setval('x', f()); SELECT pg_catalog.lowrite(0, f()); SET ROLE x; SET x.y = 1;
SELECT pg_catalog.pg_restore_relation_stats(f('x')); ALTER TABLE t ALTER a TYPE int USING f(a); ALTER TABLE t ADD CHECK (true), DROP COLUMN a;
ALTER EXTENSION x UPDATE; ALTER LANGUAGE plpython3u RENAME TO plpgsql; PREPARE TRANSACTION 'x'; LISTEN x; LOCK t; "x";
SET client_encoding = 'SJIS'; SET NAMES 'x'; SET LOCAL standard_conforming_strings = off; RESET client_encoding;
SELECT 'a'
 'b'; SELECT 1a; SELECT $1a; SELECT :DBNAME; SELECT :'x';
CREATE FUNCTION begin() RETURNS int LANGUAGE sql AS 'x'; END;
CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1 AS case; END; DROP TABLE t; END; 
`;

describe('a judgement', () => {
  test('lets pass what pg_dump and pg_dumpall write', () => {
    const found = judgements(dumped);
    expect(found.split('\n').filter((line) => !line.startsWith('nothing'))).toEqual([]);
    expectGolden(import.meta.url, 'judged-dumped.txt', found);
  });

  test('names what they do not write', () => {
    const found = judgements(forged);
    expectGolden(import.meta.url, 'judged-forged.txt', found);
    expect(found.split('\n').filter((line) => line.startsWith('nothing')).length).toBeLessThan(3);
  });

  test('is about all of a statement, however long it is', () => {
    const list = Array.from({ length: 1500 }, () => "'x'").join(', ');
    expect(judgements(`SELECT pg_catalog.pg_restore_relation_stats(${list}); SET search_path = ${list};`)).toMatch(
      /^nothing.*\nnothing/,
    );
    const longer = Array.from({ length: 5000 }, () => "'x'").join(', ');
    expect(judgements(`SELECT pg_catalog.pg_restore_relation_stats(${longer}), f();`)).toMatch(/^unexpected/);
    const values = Array.from({ length: 60_000 }, () => '(1)').join(',');
    expect(judgements(`INSERT INTO t VALUES ${values};`)).toMatch(/^nothing/);
    expect(judgements(`INSERT INTO t VALUES ${values},(f());`)).toMatch(/^unexpected/);
  });
});
