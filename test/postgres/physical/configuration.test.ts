import { appendFile, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import { serverUser } from '../../../parts/server-user.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { listsIn, packConfiguration, readConfiguration } from '../../../src/postgres/physical/configuration.ts';
import { addressOf } from '../swap/pair.ts';

let server: PostgresServer;
let elsewhere: string;

const own = async (path: string, content: string) => {
  const owner = serverUser();
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, content);
  if (owner !== undefined) {
    await chown(dirname(path), owner.uid, owner.gid);
    await chown(path, owner.uid, owner.gid);
  }
};

beforeAll(async () => {
  elsewhere = await makeScratch('conf', { owner: serverUser() });
  server = await startPostgres({ major: 17 });
  await own(join(server.dataDir, 'conf.d/10 odd.conf'), `work_mem = '5MB'\n`);
  await own(join(elsewhere, 'far.conf'), `maintenance_work_mem = '70MB'\n`);
  await appendFile(
    join(server.dataDir, 'postgresql.conf'),
    `include_dir = 'conf.d'\ninclude = '${join(elsewhere, 'far.conf')}'\n`,
  );
  await own(join(server.dataDir, 'more_hba.conf'), 'host all all 127.0.0.9/32 reject\n');
  await own(join(server.dataDir, 'admins'), 'alice\n');
  await appendFile(
    join(server.dataDir, 'pg_hba.conf'),
    'include more_hba.conf\nhost all @admins 127.0.0.8/32 reject\n',
  );
  await server.psql('postgres', `ALTER SYSTEM SET log_connections = off`);
  await server.psql('postgres', 'SELECT pg_reload_conf()');
});

afterAll(async () => {
  await server.stop();
  await rm(elsewhere, { recursive: true, force: true });
});

describe('the configuration of a server', () => {
  it('is its three files with everything they include, wherever that lies', async () => {
    const read = await withSession(addressOf(server), {}, readConfiguration);
    expect(read.warnings).toEqual([]);
    expect(read.files.map(({ name }) => name).sort()).toEqual(
      [
        ...['admins', 'conf.d/10 odd.conf', `elsewhere${join(elsewhere, 'far.conf')}`, 'more_hba.conf', 'pg_hba.conf'],
        ...['pg_ident.conf', 'postgresql.auto.conf', 'postgresql.conf'],
      ].sort(),
    );
    for (const { path, bytes } of read.files) expect(Buffer.from(bytes)).toEqual(await readFile(path));
    expect(await packConfiguration(read)).toEqual(await packConfiguration(read));
  });

  it('is read by a role that is granted just that, without what only superusers see of it', async () => {
    await server.psql(
      'postgres',
      `CREATE ROLE reader LOGIN PASSWORD 'pw';
       GRANT pg_read_all_settings, pg_read_server_files TO reader;
       GRANT EXECUTE ON FUNCTION pg_read_binary_file(text, bigint, bigint, boolean) TO reader`,
    );
    const read = await withSession({ ...addressOf(server), user: 'reader', password: 'pw' }, {}, readConfiguration);
    expect(read.files.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['postgresql.conf', 'pg_hba.conf', 'pg_ident.conf']),
    );
    expect(read.warnings.join('\n')).toContain('what postgresql.conf includes is not in the backup');
  });

  it('names files that are gone, and keeps the others', async () => {
    await rm(join(server.dataDir, 'pg_ident.conf'));
    const read = await withSession(addressOf(server), {}, readConfiguration);
    expect(read.warnings.join('\n')).toContain('pg_ident.conf');
    expect(read.files.map(({ name }) => name)).toContain('pg_hba.conf');
  });
});

it('the lists that lines of pg_hba.conf name are found, and nothing else', () => {
  const text = [
    'local @dbs,@"odd name",plain @/etc/admins trust # @comment',
    '# @not this',
    'host all a@b 10.0.0.0/8 scram-sha-256',
  ].join('\n');
  expect(listsIn(Buffer.from(text), '/data/pg_hba.conf')).toEqual(['/data/dbs', '/data/odd name', '/etc/admins']);
});
