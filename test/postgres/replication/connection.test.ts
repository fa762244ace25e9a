import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { formatLsn } from '../../../src/domain/wal.ts';
import { sqlState } from '../../../src/postgres/failures.ts';
import { connectForReplication, withReplication, type Row } from '../../../src/postgres/replication/connection.ts';
import type { Server } from '../../../src/postgres/server.ts';
import { until } from '../../process/processes.ts';
import { addressOf } from '../swap/pair.ts';

let server: PostgresServer;
let address: Server;

beforeAll(async () => {
  server = await startPostgres({
    major: 17,
    settings: { max_wal_senders: '2', max_replication_slots: '4', summarize_wal: 'on' },
    hba: ['host replication nohba all reject'],
  });
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

const noWalsenderIsLeft = () =>
  until('no walsender is left', async () => {
    const left = await server.psql(
      'postgres',
      `SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'walsender'`,
    );
    return left === '0';
  });

describe('a session of the replication protocol', () => {
  it('says which system it is and where its log is', async () => {
    await withReplication(address, { applicationName: 'holdfast replication' }, async (session) => {
      const found = await session.identify();
      const [id, pid] = (
        await server.psql(
          'postgres',
          `SELECT system_identifier FROM pg_control_system();
           SELECT pid FROM pg_stat_activity WHERE application_name = 'holdfast replication'`,
        )
      ).split('\n');
      expect(found).toMatchObject({ systemIdentifier: id, timeline: 1 });
      expect(found.xlogpos).toBeGreaterThan(0n);
      expect(String(session.backendPid)).toBe(pid);
      expect(Math.floor(session.versionNum / 10_000)).toBe(17);
    });
    await noWalsenderIsLeft();
  });

  it('runs one simple command after the other, also after one that is refused', async () => {
    await withReplication(address, {}, async (session) => {
      expect(await session.command('SHOW wal_sender_timeout')).toEqual([{ wal_sender_timeout: '0' }]);
      const [made] = await session.command('CREATE_REPLICATION_SLOT holdfast_test PHYSICAL (RESERVE_WAL)');
      expect(made).toMatchObject({ slot_name: 'holdfast_test', snapshot_name: null });
      const [read] = await session.command('READ_REPLICATION_SLOT holdfast_test');
      expect(read).toMatchObject({ slot_type: 'physical', restart_tli: '1' });
      const again = await failureOf(session.command('CREATE_REPLICATION_SLOT holdfast_test PHYSICAL'));
      expect(sqlState(again)).toBe('42710');
      expect(await session.command('DROP_REPLICATION_SLOT holdfast_test')).toEqual([]);
      expect(await failureOf(session.command('TIMELINE_HISTORY 2'))).toMatchObject({
        message: expect.stringContaining('TIMELINE_HISTORY'),
      });
    });
  });

  it('has the time-out for its peer that it is asked for', async () => {
    await withReplication(address, { walSenderTimeoutMs: 90_000 }, async (session) => {
      expect(await session.command('SHOW wal_sender_timeout')).toEqual([{ wal_sender_timeout: '90s' }]);
    });
  });

  it('hands over result sets and messages of a copy in order, and reads no more than is taken', async () => {
    const seen: string[] = [];
    let bytes = 0;
    let busy = false;
    await withReplication(address, {}, (session) =>
      session.copyOut(`BASE_BACKUP (LABEL 'test', CHECKPOINT 'fast', WAIT false, PROGRESS true, MANIFEST 'yes')`, {
        onRows: (rows) => seen.push(Object.keys(rows[0] ?? {}).join()),
        onData: (message) => {
          expect(busy).toBe(false);
          const kind = String.fromCharCode(message[0] ?? 0);
          if (seen.at(-1) !== kind) seen.push(kind);
          if (kind === 'd') bytes += message.length - 1;
          if (kind === 'd' && bytes % 7 !== 0) return undefined;
          busy = true;
          return sleep(0).then(() => {
            busy = false;
          });
        },
      }),
    );
    expect(seen.join(' ')).toMatch(/^recptr,tli spcoid,spclocation,size n (d p )+m d recptr,tli$/);
    expect(bytes).toBeGreaterThan(20_000_000);
  });

  it("ends a copy with what its reader threw, and the server's process with it", async () => {
    const reason = new Error('the disk is full');
    await withReplication(address, {}, async (session) => {
      const error = await failureOf(
        session.copyOut(`BASE_BACKUP (CHECKPOINT 'fast', WAIT false)`, {
          onRows: () => undefined,
          onData: () => Promise.reject(reason),
        }),
      );
      expect(error).toBe(reason);
      expect(await failureOf(session.identify())).toMatchObject({ type: 'PostgresUnavailable' });
    });
    await noWalsenderIsLeft();
  });

  it("ends with the signal's reason while its reader is at work", async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const session = await connectForReplication(address, { signal: controller.signal });
    const copying = failureOf(
      session.copyOut(`BASE_BACKUP (CHECKPOINT 'fast', WAIT false)`, {
        onRows: () => undefined,
        onData: () => {
          controller.abort(reason);
          return new Promise(() => undefined);
        },
      }),
    );
    expect(await copying).toBe(reason);
    expect(await failureOf(session.identify())).toBe(reason);
    await session.close();
    await noWalsenderIsLeft();
  });

  it('uploads, and forgets what a body that fails has sent', async () => {
    await withReplication(address, {}, async (session) => {
      const reason = new Error('the repository went away');
      const failing = async function* () {
        yield await Promise.resolve(Buffer.from('{ "PostgreSQL-Backup-Manifest-Version": 2,'));
        throw reason;
      };
      expect(await failureOf(session.copyIn('UPLOAD_MANIFEST', failing()))).toBe(reason);
      const nonsense = async function* () {
        yield await Promise.resolve(Buffer.alloc(5_000_000, 'x'));
      };
      expect(await failureOf(session.copyIn('UPLOAD_MANIFEST', nonsense()))).toMatchObject({
        message: expect.stringContaining('UPLOAD_MANIFEST'),
      });
      expect(await session.identify()).toMatchObject({ timeline: 1 });
    });
  });

  it('streams in both directions until we are done, and can be used again', async () => {
    await withReplication(address, {}, async (session) => {
      const { xlogpos } = await session.identify();
      let wal = 0;
      const both = await session.copyBoth(`START_REPLICATION PHYSICAL ${formatLsn(xlogpos)} TIMELINE 1`, {
        onData: async (message) => {
          await Promise.resolve();
          if (message[0] === 0x77) wal += message.length - 25;
        },
      });
      expect(both.started).toBe(true);
      await server.psql('postgres', `CREATE TABLE big AS SELECT n, repeat('x', 100) FROM generate_series(1, 100000) n`);
      await until('it has arrived', () => Promise.resolve(wal > 10_000_000));
      const status = Buffer.alloc(34);
      status.write('r');
      const reached = xlogpos + BigInt(wal);
      for (const at of [1, 9, 17]) status.writeBigUInt64BE(reached, at);
      await both.send(status);
      await until('the server knows', async () => {
        const lsn = await server.psql('postgres', `SELECT flush_lsn FROM pg_stat_replication`);
        return lsn === formatLsn(reached);
      });
      both.done();
      both.done();
      const rows: readonly Row[] = await both.finished;
      expect(rows).toEqual([]);
      expect(await session.identify()).toMatchObject({ timeline: 1 });
    });
  });

  it('says why nothing can be streamed', async () => {
    await withReplication(address, {}, async (session) => {
      const error = await failureOf(
        session.copyBoth('START_REPLICATION SLOT nowhere PHYSICAL 0/0 TIMELINE 1', { onData: () => undefined }),
      );
      expect(sqlState(error)).toBe('42704');
    });
  });

  it('that was ended by somebody says so to what runs in it', async () => {
    const session = await connectForReplication(address);
    const { xlogpos } = await session.identify();
    const both = await session.copyBoth(`START_REPLICATION PHYSICAL ${formatLsn(xlogpos)} TIMELINE 1`, {
      onData: () => undefined,
    });
    await server.psql('postgres', `SELECT pg_terminate_backend(${String(session.backendPid)}, 10000)`);
    expect(await failureOf(both.finished)).toMatchObject({ type: 'PostgresUnavailable' });
    expect(await failureOf(both.send(Buffer.from('r')))).toBeInstanceOf(Error);
    await session.close();
  });
});

describe('a server that does not let us replicate', () => {
  it('because the role may not names the ALTER ROLE', async () => {
    await server.psql('postgres', `CREATE ROLE "Plain One" LOGIN PASSWORD 'pw'`);
    expect(await failureOf(connectForReplication({ ...address, user: 'Plain One', password: 'pw' }))).toMatchObject({
      type: 'PostgresRefused',
      hint: expect.stringContaining('ALTER ROLE "Plain One" REPLICATION'),
    });
  });

  it('because pg_hba.conf has no line for it names the line', async () => {
    await server.psql('postgres', `CREATE ROLE nohba REPLICATION LOGIN PASSWORD 'pw'`);
    expect(await failureOf(connectForReplication({ ...address, user: 'nohba', password: 'pw' }))).toMatchObject({
      type: 'PostgresRefused',
      hint: expect.stringContaining('host replication nohba 127.0.0.1/32 scram-sha-256'),
    });
  });

  it('because pg_hba.conf has no line for it says so too where TLS was preferred, and the server has none', async () => {
    const preferring = { ...address, sslmode: 'prefer', user: 'nohba', password: 'pw' } as const;
    expect(await failureOf(connectForReplication(preferring))).toMatchObject({
      type: 'PostgresRefused',
      hint: expect.stringContaining('host replication nohba 127.0.0.1/32 scram-sha-256'),
    });
  });

  it('because every place is taken may have one later', async () => {
    const sessions = await Promise.all([connectForReplication(address), connectForReplication(address)]);
    expect(await failureOf(connectForReplication(address))).toMatchObject({
      type: 'PostgresUnavailable',
      hint: expect.stringContaining('max_wal_senders'),
    });
    await Promise.all(sessions.map((session) => session.close()));
    await noWalsenderIsLeft();
  });

  it('because of a wrong password says that', async () => {
    expect(await failureOf(connectForReplication({ ...address, password: 'wrong' }))).toMatchObject({
      type: 'PostgresRefused',
      hint: expect.stringContaining('password'),
    });
  });
});
