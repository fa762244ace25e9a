/** The three databases that the demo protects, and how it tells that one of them is what it was. */
import type { PostgresServer } from '../parts/postgres-server.ts';

export const databases = ['gatus', 'vaultwarden', 'app'] as const;

/** Roles, databases with settings, privileges and comments, and enough rows to see them counted. */
export async function createSample(server: PostgresServer): Promise<void> {
  await server.psql(
    'postgres',
    `CREATE ROLE monitoring LOGIN PASSWORD 'only-for-the-demo';
     CREATE ROLE readers NOLOGIN;
     GRANT readers TO monitoring;
     ${databases.map((name) => `CREATE ROLE ${name} LOGIN PASSWORD 'only-for-the-demo';`).join('\n')}`,
  );
  for (const name of databases) {
    await server.psql('postgres', `CREATE DATABASE ${name} OWNER ${name}`);
    await server.psql(
      'postgres',
      `COMMENT ON DATABASE ${name} IS 'belongs to ${name}';
       ALTER DATABASE ${name} SET work_mem = '8MB';
       ALTER ROLE ${name} IN DATABASE ${name} SET search_path = ${name}, public;
       REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC;
       GRANT CONNECT ON DATABASE ${name} TO readers`,
    );
    await server.psql(
      name,
      `CREATE SCHEMA ${name} AUTHORIZATION ${name};
       CREATE TABLE ${name}.endpoints (id bigint PRIMARY KEY, name text NOT NULL, url text);
       CREATE TABLE ${name}.results (id bigserial PRIMARY KEY, endpoint bigint REFERENCES ${name}.endpoints, ok boolean NOT NULL, at timestamptz NOT NULL, note text);
       INSERT INTO ${name}.endpoints SELECT i, 'endpoint ' || i, 'https://example.org/' || i FROM generate_series(1, 200) i;
       INSERT INTO ${name}.results (endpoint, ok, at, note)
         SELECT 1 + i % 200, i % 7 <> 0, timestamptz '2026-01-01 00:00Z' + i * interval '1 minute', md5(i::text) FROM generate_series(1, 100000) i;
       CREATE INDEX ON ${name}.results (endpoint, at);
       CREATE VIEW ${name}.failing AS SELECT endpoint, count(*) FROM ${name}.results WHERE NOT ok GROUP BY endpoint;
       ALTER TABLE ${name}.endpoints OWNER TO ${name};
       ALTER TABLE ${name}.results OWNER TO ${name};
       ALTER VIEW ${name}.failing OWNER TO ${name}`,
    );
  }
}

/** The same for the same rows, the same tables and the same settings. */
export async function fingerprint(server: PostgresServer, database: string): Promise<string> {
  const rows = await server.psql(
    database,
    `SELECT 'endpoints', count(*), md5(string_agg(e::text, ',' ORDER BY id)) FROM ${database}.endpoints e
     UNION ALL SELECT 'results', count(*), md5(string_agg(r::text, ',' ORDER BY id)) FROM ${database}.results r
     UNION ALL SELECT 'settings', count(*), md5(string_agg(s::text, ',' ORDER BY s::text)) FROM (
       SELECT setdatabase::regclass IS NULL AS x, d.datname, r.rolname, setconfig FROM pg_db_role_setting
         JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole WHERE d.datname = current_database()) s
     UNION ALL SELECT 'database', 1, md5(row((SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(datacl) a), datconnlimit, pg_get_userbyid(datdba), shobj_description(oid, 'pg_database'))::text)
       FROM pg_database WHERE datname = current_database()`,
  );
  return rows.trim();
}

export async function damage(server: PostgresServer): Promise<void> {
  await server.psql(
    'gatus',
    `DELETE FROM gatus.results WHERE id % 3 <> 0; DROP VIEW gatus.failing; UPDATE gatus.endpoints SET url = 'oops'`,
  );
}
