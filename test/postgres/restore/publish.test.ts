import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { DatabaseProperties } from '../../../src/domain/swap-report.ts';
import { quoteIdent } from '../../../src/postgres/quote.ts';
import { createCopy, type Copy } from '../../../src/postgres/restore/beside.ts';
import { checkProperties } from '../../../src/postgres/restore/properties.ts';
import { publishCopy, type PublishOrder } from '../../../src/postgres/restore/publish.ts';
import { readProperties } from '../../../src/postgres/swap/properties.ts';
import { makeSample } from '../dump/sample.ts';
import { addressOf } from '../swap/pair.ts';
import { inSession, sessionsLeft } from './contents.ts';

const plain = {
  encoding: 'UTF8',
  collate: 'C.UTF-8',
  ctype: 'C.UTF-8',
  localeProvider: 'libc',
  locale: null,
  icuRules: null,
} as const;

describe.each([15, 17] as const)('giving a copy its name on postgresql %i', (major) => {
  let server: PostgresServer;
  let properties: DatabaseProperties;

  beforeAll(async () => {
    server = await startPostgres({ major });
    await makeSample(server);
    properties = await inSession(server, (session) => readProperties(session, 'app'));
  });
  afterAll(() => server.stop());

  const make = (name: string): Promise<Copy> =>
    inSession(server, (session) =>
      createCopy(addressOf(server), session, { run: '1a2b3c4d', name, record: plain, owner: null, tablespace: null }),
    );
  const publish = (copy: Copy, finalName: string, wishes: Partial<PublishOrder> = {}) =>
    inSession(server, (session) =>
      publishCopy(addressOf(server), session, {
        ...{ run: '1a2b3c4d', copy, finalName, properties, adopt: false, mark: null },
        signal: new AbortController().signal,
        ...wishes,
      }),
    );
  const names = (like: string) =>
    server.psql('postgres', `SELECT datname FROM pg_database WHERE datname LIKE '${like}' ORDER BY 1`);

  it('gives it everything that the backup’s had, under any name', async () => {
    for (const name of ['restored', `odd "name"; it's $(id) \\ ü`, 'line\nbreak', 'é'.repeat(31)]) {
      const copy = await make('beside');
      expect(await publish(copy, name)).toEqual({ done: true, notes: [] });
      expect(await inSession(server, (session) => readProperties(session, name))).toEqual(properties);
      expect(
        await server.psql('postgres', `SELECT oid, datallowconn FROM pg_database WHERE oid = ${String(copy.oid)}`),
      ).toBe(`${String(copy.oid)}|t`);
      expect(await publish(copy, name)).toEqual({ done: false, notes: [] });
    }
    expect(await sessionsLeft(server)).toBe('');
  });

  it('never takes a name that is borne already', async () => {
    const copy = await make('beside');
    const before = await inSession(server, (session) => readProperties(session, 'beside'));
    await expect(publish(copy, 'latin')).rejects.toMatchObject({ type: 'NameTaken' });
    await expect(publish(copy, 'latin', { adopt: true })).rejects.toMatchObject({
      type: 'TargetNotEmpty',
      message: "database 'latin' is not empty: it holds table or view public.t",
    });
    await expect(publish(copy, 'closed', { adopt: true })).rejects.toMatchObject({ type: 'TargetNotEmpty' });
    expect(await inSession(server, (session) => readProperties(session, 'beside'))).toEqual(before);
  });

  it('takes the place of an empty one under clients that keep coming back', async () => {
    await server.psql('postgres', 'CREATE DATABASE crowded TEMPLATE template0');
    const copy = await make('beside');
    await server.psql('beside', `CREATE TABLE which AS SELECT 'new' AS content`);
    const over = new AbortController();
    const clients = Array.from({ length: 8 }, async () => {
      let connected = 0;
      while (!over.signal.aborted) {
        await inSession(server, (session) => session.query('SELECT pg_sleep(0.01)'), 'crowded').then(
          () => (connected += 1),
          () => undefined,
        );
      }
      return connected;
    });
    while ((await server.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE datname = 'crowded'`)) === '0');
    expect(await publish(copy, 'crowded', { adopt: true })).toEqual({ done: true, notes: [] });
    over.abort();
    await Promise.all(clients);
    expect(await server.psql('crowded', 'SELECT content FROM which')).toBe('new');
    expect(await names('crowded%')).toBe('crowded');
    expect(await names('beside%')).toBe('');
  });

  it('drops the empty one also where it died right before', async () => {
    await server.psql('postgres', 'CREATE DATABASE again TEMPLATE template0');
    const copy = await make('beside');
    await publish(copy, 'again', { adopt: true });
    await server.psql(
      'postgres',
      `CREATE DATABASE again_old_1a2b3c4d TEMPLATE template0; COMMENT ON DATABASE again_old_1a2b3c4d IS 'holdfast: restore 1a2b3c4d, put aside, it was empty'`,
    );
    expect(await publish(copy, 'again', { adopt: true })).toEqual({ done: false, notes: [] });
    expect(await names('again%')).toBe('again');
  });

  it('keeps what was put aside if it is not empty any more', async () => {
    const copy = await make('beside');
    await publish(copy, 'kept');
    await server.psql(
      'postgres',
      `CREATE DATABASE kept_old_1a2b3c4d TEMPLATE template0; COMMENT ON DATABASE kept_old_1a2b3c4d IS 'holdfast: restore 1a2b3c4d, put aside, it was empty'`,
    );
    await server.psql('kept_old_1a2b3c4d', 'CREATE TABLE precious ()');
    expect((await publish(copy, 'kept')).notes).toEqual([
      "'kept_old_1a2b3c4d' was empty when the restore began, and is kept: it holds table or view public.precious now",
    ]);
    expect(await names('kept%')).toBe('kept\nkept_old_1a2b3c4d');
  });

  it('says what the target refused, and gives the rest', async () => {
    const copy = await make('beside');
    const wanted: DatabaseProperties = {
      ...properties,
      owner: 'role that is gone',
      settings: [...properties.settings, { role: null, name: 'operator_precedence_warning', value: 'on' }],
      securityLabels: [{ provider: 'selinux', label: 'x' }],
    };
    const { notes } = await publish(copy, 'partly', { properties: wanted });
    expect(notes).toEqual([
      'setting operator_precedence_warning is not known to this version of PostgreSQL, and left out',
      expect.stringContaining('role "role that is gone" does not exist'),
      ...notes.slice(2, -1),
      expect.stringContaining('security label provider "selinux" is not loaded'),
    ]);
    const missing = await inSession(server, (session) =>
      checkProperties(session, { name: 'partly', oid: copy.oid }, wanted),
    );
    expect(missing.map(({ object }) => object)).toEqual(
      expect.arrayContaining(['owner of database partly', 'security label of selinux of database partly']),
    );
    expect(await server.psql('partly', 'SHOW "myapp.tenant"')).toBe("x'y\\z");
  });

  it('changes nothing where the copy is gone, or it is told to stop', async () => {
    const copy = await make('beside');
    await expect(publish({ name: 'beside', oid: 1 + copy.oid }, 'nothing')).rejects.toMatchObject({
      type: 'PlanChanged',
    });
    await expect(publish(copy, 'nothing', { signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow(
      'enough',
    );
    await server.psql('postgres', `ALTER DATABASE beside RENAME TO "another name"; CREATE DATABASE beside`);
    await expect(publish(copy, 'nothing')).rejects.toMatchObject({ type: 'PlanChanged' });
    expect(await names('nothing')).toBe('');
    expect(await names('beside')).toBe('beside');
    await server.psql('postgres', `DROP DATABASE beside; DROP DATABASE ${quoteIdent('another name')}`);
  });
});
