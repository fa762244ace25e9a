import { execFile } from 'node:child_process';
import { chown, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { connect as dial, createServer, type AddressInfo, type Server as Listener } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from '../../parts/free-port.ts';
import { startPostgres, type PostgresServer } from '../../parts/postgres-server.ts';
import { makeScratch } from '../../parts/scratch.ts';
import { connect, withSession, type Server } from '../../src/postgres/connection.ts';
import { until } from '../process/processes.ts';
import { addressOf } from './swap/pair.ts';

let server: PostgresServer;
let address: Server;

beforeAll(async () => {
  server = await startPostgres({ major: 17 });
  address = addressOf(server);
});

afterAll(() => server.stop());

const failureOf = (running: Promise<unknown>) =>
  running.then(
    () => {
      throw new Error('it went well');
    },
    (error: unknown) => error,
  );

describe('a session', () => {
  it('is what its settings say, whatever roles and databases are set to', async () => {
    await server.psql(
      'postgres',
      `CREATE ROLE stubborn SUPERUSER LOGIN PASSWORD 'pw';
       ALTER ROLE stubborn SET search_path = public;
       ALTER ROLE stubborn SET statement_timeout = '1ms';
       ALTER ROLE stubborn SET transaction_timeout = '1h';
       ALTER ROLE stubborn SET idle_session_timeout = '1h';
       ALTER ROLE stubborn SET default_transaction_read_only = on;
       ALTER ROLE stubborn SET default_transaction_isolation = 'serializable';
       ALTER ROLE stubborn SET standard_conforming_strings = off;
       ALTER ROLE stubborn SET DateStyle = 'German';
       ALTER ROLE stubborn SET client_encoding = 'LATIN1'`,
    );
    await withSession({ ...address, user: 'stubborn', password: 'pw' }, {}, async (session) => {
      const names = ['search_path', 'statement_timeout', 'transaction_timeout', 'idle_session_timeout'];
      const more = ['transaction_read_only', 'transaction_isolation', 'standard_conforming_strings', 'client_encoding'];
      const rows = await session.query<{ name: string; value: string }>(
        `SELECT name, current_setting(name) AS value FROM unnest($1::text[]) AS name`,
        [[...names, ...more]],
      );
      expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual({
        search_path: 'pg_catalog',
        statement_timeout: '0',
        transaction_timeout: '0',
        idle_session_timeout: '0',
        transaction_read_only: 'off',
        transaction_isolation: 'read committed',
        standard_conforming_strings: 'on',
        client_encoding: 'UTF8',
      });
      expect(await session.query(`SELECT date '2026-11-21'::text AS day`)).toEqual([{ day: '2026-11-21' }]);
    });
  });

  it('says its version and process, and goes by the name it was given', async () => {
    await withSession(address, { applicationName: 'holdfast name' }, async (session) => {
      expect(Math.floor(session.versionNum / 10_000)).toBe(17);
      const found = await server.psql(
        'postgres',
        `SELECT pid FROM pg_stat_activity WHERE application_name = 'holdfast name'`,
      );
      expect(found).toBe(String(session.backendPid));
    });
  });

  it('returns the rows of the last of several statements', async () => {
    await withSession(address, {}, async (session) => {
      expect(await session.query('SELECT 1 AS a; SELECT 2 AS b')).toEqual([{ b: 2 }]);
    });
  });

  it("ends with the signal's reason when that is aborted, and what runs in it ends too", async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const session = await connect(address, { signal: controller.signal, applicationName: 'holdfast aborted' });
    const running = failureOf(session.query('SELECT pg_sleep(600)'));
    controller.abort(reason);
    expect(await running).toBe(reason);
    expect(await failureOf(session.query('SELECT 1'))).toBe(reason);
    await session.close();
    await until('the backend has noticed', async () => {
      const left = await server.psql(
        'postgres',
        `SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast aborted'`,
      );
      return left === '0';
    });
    expect(await failureOf(connect(address, { signal: controller.signal }))).toBe(reason);
  });

  it('that was ended by somebody tells so at its next query', async () => {
    const session = await connect(address);
    await server.psql('postgres', `SELECT pg_terminate_backend(${String(session.backendPid)}, 10000)`);
    expect(await failureOf(session.query('SELECT 1'))).toMatchObject({ type: 'PostgresUnavailable' });
    await session.close();
    await session.close();
  });
});

describe('a server that does not let us in', () => {
  it.each([
    ['for a wrong password', { password: 'not this' }, 'PostgresRefused', /password authentication failed/],
    ['for a missing password', { password: '' }, 'PostgresRefused', /password/],
    ['for an unknown database', { database: 'nowhere' }, 'PostgresRefused', /"nowhere" does not exist/],
    ['for an unknown host', { host: 'nowhere.invalid' }, 'PostgresUnavailable', /nowhere\.invalid/],
    ['for a socket that is not there', { host: '/nonexistent' }, 'PostgresUnavailable', /\/nonexistent/],
    ['without TLS', { sslmode: 'require' }, 'PostgresRefused', /SSL/],
    ['without a root certificate to verify it by', { sslmode: 'verify-full' }, 'PostgresRefused', /sslrootcert/],
  ] as const)('%s is a typed failure', async (_, wrong, type, message) => {
    const error = await failureOf(connect({ ...address, ...wrong }));
    expect(error).toMatchObject({ type, message: expect.stringMatching(message) });
    expect((error as Error).message).not.toContain('not this');
    expect((error as { hint: string }).hint).not.toBe('');
  });

  it('because nothing listens there may be back later', async () => {
    const error = await failureOf(connect({ ...address, port: await freePort() }));
    expect(error).toMatchObject({ type: 'PostgresUnavailable', message: expect.stringContaining('ECONNREFUSED') });
  });

  it('because every connection is taken may have one later', async () => {
    await server.psql('postgres', `CREATE ROLE limited LOGIN PASSWORD 'pw' CONNECTION LIMIT 0`);
    const error = await failureOf(connect({ ...address, user: 'limited', password: 'pw' }));
    expect(error).toMatchObject({ type: 'PostgresUnavailable', hint: expect.stringContaining('max_connections') });
  });
});

describe('a pooler', () => {
  const listening = async (listener: Listener): Promise<Server> => {
    await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
    return { ...address, port: (listener.address() as AddressInfo).port };
  };
  const closed = (listener: Listener) => new Promise((resolve) => listener.close(resolve));

  it('is recognised by its own cancel keys', async () => {
    const key = Buffer.from('4b0000000c', 'hex');
    const pooler = createServer((client) => {
      const upstream = dial(server.port, '127.0.0.1');
      client.pipe(upstream);
      upstream.on('data', (data) => {
        const at = data.indexOf(key);
        if (at !== -1) data.writeInt32BE(4711, at + key.length);
        client.write(data);
      });
      upstream.on('close', () => client.destroy()).on('error', () => client.destroy());
      client.on('close', () => upstream.destroy()).on('error', () => upstream.destroy());
    });
    const error = await failureOf(connect(await listening(pooler)));
    await closed(pooler);
    expect(error).toMatchObject({
      type: 'PostgresRefused',
      message: expect.stringContaining('is a connection pooler'),
    });
  });

  it('is recognised by what it says to our start packet', async () => {
    const text = 'SFATAL\0VFATAL\0C08P01\0Munsupported startup parameter in options: search_path\0\0';
    const head = Buffer.alloc(5);
    head.write('E');
    head.writeInt32BE(text.length + 4, 1);
    const pooler = createServer((client) => {
      client.once('data', () => client.end(Buffer.concat([head, Buffer.from(text)])));
      client.on('error', () => undefined);
    });
    const error = await failureOf(connect(await listening(pooler)));
    await closed(pooler);
    expect(error).toMatchObject({
      type: 'PostgresRefused',
      message: expect.stringContaining('is a connection pooler'),
      hint: expect.stringContaining('-rw'),
    });
  });
});

describe('TLS', () => {
  let scratch: string;
  const makeCertificate = async (name: string, subject: string) => {
    const [key, certificate] = [join(scratch, `${name}.key`), join(scratch, `${name}.crt`)];
    await promisify(execFile)('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-subj', `/CN=${name}`, '-addext', `subjectAltName=${subject}`, '-keyout', key, '-out', certificate],
    ]);
    return { key, certificate };
  };
  const serveWith = async ({ key, certificate }: { readonly key: string; readonly certificate: string }) => {
    const { uid, gid } = await stat(server.dataDir);
    for (const [from, to] of [
      [key, 'server.key'],
      [certificate, 'server.crt'],
    ] as const) {
      const file = join(server.dataDir, to);
      await writeFile(file, await readFile(from), { mode: 0o600 });
      await chown(file, uid, gid);
    }
    await server.psql('postgres', 'ALTER SYSTEM SET ssl = on');
    await server.restart();
  };
  const encrypted = (wishes: Partial<Server>) =>
    withSession({ ...address, ...wishes }, {}, async (session) => {
      const [row] = await session.query<{ ssl: boolean }>('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()');
      return row?.ssl;
    });

  beforeAll(async () => {
    scratch = await makeScratch('tls');
  });

  afterAll(() => rm(scratch, { recursive: true, force: true }));

  it('is not needed where it is only preferred', async () => {
    expect(await encrypted({ sslmode: 'prefer' })).toBe(false);
  });

  it('is used and verified as far as sslmode says', async () => {
    const right = await makeCertificate('right', 'IP:127.0.0.1');
    const other = await makeCertificate('other', 'IP:127.0.0.1');
    await serveWith(right);
    expect(await encrypted({ sslmode: 'disable' })).toBe(false);
    expect(await encrypted({ sslmode: 'prefer' })).toBe(true);
    expect(await encrypted({ sslmode: 'require' })).toBe(true);
    expect(await encrypted({ sslmode: 'verify-ca', sslrootcert: right.certificate })).toBe(true);
    expect(await encrypted({ sslmode: 'verify-full', sslrootcert: right.certificate })).toBe(true);
    for (const sslmode of ['require', 'verify-ca', 'verify-full'] as const) {
      const error = await failureOf(encrypted({ sslmode, sslrootcert: other.certificate }));
      expect(error).toMatchObject({ type: 'PostgresRefused', hint: expect.stringContaining('certificate') });
    }
    const unreadable = await failureOf(encrypted({ sslmode: 'verify-ca', sslrootcert: join(scratch, 'none') }));
    expect(unreadable).toMatchObject({ type: 'PostgresRefused', message: expect.stringContaining('sslrootcert') });
  });

  it("is refused by verify-full alone where the certificate is another host's", async () => {
    const elsewhere = await makeCertificate('elsewhere', 'DNS:db.example.com');
    await serveWith(elsewhere);
    expect(await encrypted({ sslmode: 'verify-ca', sslrootcert: elsewhere.certificate })).toBe(true);
    const error = await failureOf(encrypted({ sslmode: 'verify-full', sslrootcert: elsewhere.certificate }));
    expect(error).toMatchObject({ type: 'PostgresRefused' });
  });
});
