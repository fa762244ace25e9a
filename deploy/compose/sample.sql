-- What the sample server holds: the databases, roles and settings of `npm run demo`.
\set ON_ERROR_STOP 1
CREATE ROLE readers NOLOGIN;
CREATE ROLE gatus LOGIN;
CREATE ROLE vaultwarden LOGIN;
CREATE ROLE app LOGIN;

SELECT format('CREATE DATABASE %I OWNER %I', name, name) FROM unnest('{gatus,vaultwarden,app}'::text[]) AS name \gexec
SELECT format(statement, name)
  FROM unnest('{gatus,vaultwarden,app}'::text[]) AS name,
       unnest(ARRAY['COMMENT ON DATABASE %1$I IS ''belongs to %1$s''', 'ALTER DATABASE %1$I SET work_mem = ''8MB''',
                    'ALTER DATABASE %1$I SET search_path = %1$I, public', 'GRANT CONNECT ON DATABASE %1$I TO readers']) AS statement
\gexec

\connect gatus
CREATE SCHEMA gatus AUTHORIZATION gatus;
SET ROLE gatus;
CREATE TABLE gatus.endpoints (id bigint PRIMARY KEY, name text NOT NULL, url text);
CREATE TABLE gatus.results (
  id bigserial PRIMARY KEY, endpoint bigint REFERENCES gatus.endpoints, ok boolean NOT NULL, at timestamptz NOT NULL);
INSERT INTO gatus.endpoints SELECT i, 'endpoint ' || i, 'https://example.org/' || i FROM generate_series(1, 200) i;
INSERT INTO gatus.results (endpoint, ok, at)
  SELECT 1 + i % 200, i % 7 <> 0, timestamptz '2026-01-01 00:00Z' + i * interval '1 minute' FROM generate_series(1, 100000) i;
CREATE INDEX ON gatus.results (endpoint, at);
CREATE VIEW gatus.failing AS SELECT endpoint, count(*) FROM gatus.results WHERE NOT ok GROUP BY endpoint;

\connect vaultwarden
CREATE SCHEMA vaultwarden AUTHORIZATION vaultwarden;
SET ROLE vaultwarden;
CREATE TABLE vaultwarden.ciphers (id bigint PRIMARY KEY, secret bytea NOT NULL);
INSERT INTO vaultwarden.ciphers SELECT i, sha256(i::text::bytea) FROM generate_series(1, 20000) i;

\connect app
CREATE SCHEMA app AUTHORIZATION app;
SET ROLE app;
CREATE TABLE app.orders (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, customer text NOT NULL, amount numeric(10, 2));
INSERT INTO app.orders (customer, amount) SELECT 'customer ' || i % 500, i * 1.25 FROM generate_series(1, 50000) i;
GRANT USAGE ON SCHEMA app TO readers;
GRANT SELECT ON app.orders TO readers;
