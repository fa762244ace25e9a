import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../parts/postgres-server.ts';

const run = promisify(execFile);

it('postgresql 15 and 17 can be started here', () => {
  expect(availableMajors()).toEqual(expect.arrayContaining([15, 17]));
});

describe.each(availableMajors())('a server of postgresql %i', (major) => {
  let server: PostgresServer;

  beforeAll(async () => {
    server = await startPostgres({
      major,
      settings: { application_name: "it's" },
      hba: ['host all stranger all reject'],
    });
  });
  afterAll(() => server.stop());

  it('is of that major, in UTF-8, with the settings it was given', async () => {
    const shown = await server.psql('postgres', 'SHOW server_version_num; SHOW server_encoding;');
    expect(shown).toMatch(new RegExp(`^${major.toString()}\\d{4}\\nUTF8$`));
    expect(await server.psql('postgres', "SELECT boot_val || reset_val FROM pg_settings WHERE name = 'fsync'")).toBe(
      'onoff',
    );
  });

  it('brings client tools of the same major that log in with the password', async () => {
    const env = { PATH: process.env['PATH'], PGPASSWORD: server.password };
    const args = ['-h', server.host, '-p', server.port.toString(), '-U', server.user];
    const { stdout } = await run(join(server.binDir, 'pg_dumpall'), args, { env });
    expect(stdout).toContain(`-- Dumped by pg_dump version ${major.toString()}.`);
    await expect(run(join(server.binDir, 'pg_dumpall'), [...args, '-w'], { env: { PATH: env.PATH } })).rejects.toThrow(
      'no password',
    );
  });

  it('keeps its data through a restart and a kill', async () => {
    await server.psql('postgres', 'CREATE TABLE kept AS SELECT 1 AS one');
    await server.restart();
    await server.psql('postgres', 'INSERT INTO kept VALUES (2); CHECKPOINT');
    await server.kill();
    await expect(server.psql('postgres', 'SELECT 1')).rejects.toThrow('psql on postgres failed');
    await server.start();
    expect(await server.psql('postgres', 'SELECT count(*) FROM kept')).toBe('2');
  });

  it('takes a database of any name', async () => {
    const name = `odd "name" host=evil's $(id) ü`;
    await server.psql('postgres', `CREATE DATABASE "${name.replaceAll('"', '""')}"`);
    expect(await server.psql(name, 'SELECT current_database()')).toBe(name);
    const { stdout } = await run(join(server.binDir, 'psql'), ['-XAtc', 'SELECT current_database()', server.url(name)]);
    expect(stdout.trimEnd()).toBe(name);
  });
});

it('a stopped server leaves nothing', async () => {
  const server = await startPostgres({ major: 15 });
  await server.stop();
  await server.stop();
  expect(existsSync(join(server.dataDir, '..'))).toBe(false);
});

it('a server that can’t start says why', async () => {
  await expect(startPostgres({ major: 15, settings: { no_such_setting: '1' } })).rejects.toThrow(
    'unrecognized configuration parameter "no_such_setting"',
  );
});
