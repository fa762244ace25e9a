import { copyFileSync, mkdirSync, readFileSync, writeFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { HoldfastError } from '../../../src/domain/errors.ts';
import { loadArchive, type ArchiveLoadInput } from '../../../src/postgres/archive/restore.ts';
import { quoteIdent } from '../../../src/postgres/quote.ts';
import { processesWith, until } from '../../process/processes.ts';
import { toolsOf } from '../dump/dumping.ts';
import { makeSample, oddNames } from '../dump/sample.ts';
import { dumpedAgain, sessionsLeft } from '../restore/contents.ts';
import { addressOf } from '../swap/pair.ts';
import { archivesOf, byHand, keep, pathOf, type Kept } from './archiving.ts';

const extra = `
CREATE TABLE refers (id int PRIMARY KEY, big int REFERENCES big);
INSERT INTO refers SELECT i, i FROM generate_series(1, 100) i;
COMMENT ON CONSTRAINT refers_big_fkey ON refers IS 'a tie';
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''touched''; END';
CREATE TRIGGER guards BEFORE UPDATE ON refers FOR EACH ROW EXECUTE FUNCTION touched();
COMMENT ON TRIGGER guards ON refers IS 'a tie too';
CREATE TABLE counted (id serial, x text);
INSERT INTO counted (x) SELECT 'x' FROM generate_series(1, 7);
CREATE PUBLICATION pub FOR TABLE big`;

describe.each(availableMajors())('an archive of PostgreSQL %i', (major) => {
  let source: PostgresServer;
  let kept: Kept;
  let dumpVersion: string;

  const canary = () => kept.directory;

  beforeAll(async () => {
    source = await startPostgres({ major });
    await makeSample(source);
    await source.psql('app', `SET default_transaction_read_only = off; ${extra}`);
    kept = keep();
    await archivesOf(source, kept, { exclude: oddNames.slice(1) });
    dumpVersion = (await toolsOf(source)).version;
    const format = (kind: string) => byHand(source, `pg_dump -F${kind} -f "$1" app`, join(kept.directory, kind));
    await Promise.all([format('d'), format('t')]);
  });

  afterEach(async () => {
    expect(processesWith(canary())).toEqual([]);
    await until('no session of ours is left', async () => (await sessionsLeft(source)) === '');
  });

  afterAll(async () => {
    await source.stop();
    kept.remove();
  });

  let made = 0;

  async function newDatabase(): Promise<string> {
    made += 1;
    const name = `host=evil.invalid "made" '${String(made)}`;
    await source.psql('postgres', `CREATE DATABASE ${quoteIdent(name)} TEMPLATE template0`);
    await source.psql('postgres', `ALTER DATABASE ${quoteIdent(name)} SET default_transaction_read_only = on`);
    return name;
  }

  const oidOf = async (name: string) =>
    Number(await source.psql('postgres', `SELECT oid FROM pg_database WHERE datname = $$${name}$$`));

  async function loadInto(database: string, wishes: Partial<ArchiveLoadInput> = {}) {
    return loadArchive({
      ...{ server: addressOf(source), tools: await toolsOf(source), database, dumpVersion, jobs: 3 },
      source: pathOf(kept, 'app.dump'),
      signal: new AbortController().signal,
      ...wishes,
    });
  }

  const failing = async (database: string, wishes: Partial<ArchiveLoadInput>) =>
    loadInto(database, wishes).then(
      () => {
        throw new Error('it went well');
      },
      (error: unknown) => error as HoldfastError,
    );

  it.each(['custom', 'directory', 'tar'] as const)('in format %s comes back equal, by several jobs', async (format) => {
    const database = await newDatabase();
    const path = {
      custom: pathOf(kept, 'app.dump'),
      directory: join(kept.directory, 'd'),
      tar: join(kept.directory, 't'),
    };
    const seen: number[] = [];
    const report = await loadInto(database, {
      source: path[format],
      oid: await oidOf(database),
      onProgress: (bytes) => seen.push(bytes),
    });
    expect(report.storedBytes).toBeGreaterThan(10_000);
    expect(seen.at(-1)).toBe(report.storedBytes);
    expect([...seen].sort((a, b) => a - b)).toEqual(seen);
    expect(await dumpedAgain(source, database)).toBe(await dumpedAgain(source, 'app'));
  });

  it('comes back equal as a script, all in one transaction, where it holds no large objects', async () => {
    const database = await newDatabase();
    await loadInto(database, {
      source: pathOf(kept, 'latin.dump'),
      inOneTransaction: `COMMENT ON DATABASE ${quoteIdent(database)} IS 'whole'`,
    });
    expect(await source.psql(database, 'SELECT count(*) FROM t')).toBe('1');
    expect(
      await source.psql('postgres', `SELECT shobj_description(${String(await oidOf(database))}, 'pg_database')`),
    ).toBe('whole');
    const refused = await newDatabase();
    expect(await failing(refused, { inOneTransaction: 'SELECT 1' })).toMatchObject({
      type: 'RestoreFailed',
      message: expect.stringContaining('large objects'),
    });
    expect(await source.psql(refused, `SELECT count(*) FROM pg_class WHERE relname = 'big'`)).toBe('0');
  });

  it.each(['directly', 'as a script'])('brings every definition and the rows of what is selected, %s', async (how) => {
    const database = await newDatabase();
    await loadInto(database, {
      selection: {
        schemas: ['odd "schema'],
        tables: [
          ['public', 'counted'],
          ['public', 'parted'],
        ],
      },
      ...(how === 'directly' ? {} : { inOneTransaction: 'SELECT 1' }),
    });
    const rows = (table: string) => source.psql(database, `SELECT count(*) FROM ${table}`);
    expect(await rows('counted')).toBe('7');
    expect(await rows('parted')).toBe('150');
    expect(await rows(`"odd ""schema"."odd 'table"`)).toBe('9');
    expect(await rows('big')).toBe('0');
    expect(await rows('refers')).toBe('0');
    expect(await source.psql(database, 'SELECT last_value FROM counted_id_seq')).toBe('7');
    expect(
      await source.psql(
        database,
        `SELECT (SELECT count(*) FROM pg_constraint WHERE contype = 'f'), (SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal),
           (SELECT count(*) FROM pg_publication), (SELECT count(*) FROM pg_largeobject_metadata),
           (SELECT count(*) FROM pg_policy), (SELECT count(*) FROM pg_proc WHERE proname = 'touched')`,
      ),
    ).toBe('0|0|0|0|1|1');
  });

  it('is not loaded into another database of that name', async () => {
    const database = await newDatabase();
    expect(await failing(database, { oid: 1 })).toMatchObject({ type: 'PlanChanged' });
    expect(await failing(database, { oid: 1, inOneTransaction: 'SELECT 1' })).toMatchObject({ type: 'PlanChanged' });
    expect(await source.psql(database, `SELECT count(*) FROM pg_class WHERE relname = 'big'`)).toBe('0');
  });

  it('that was cut off, or is another file, is ObjectDamaged', async () => {
    const whole = readFileSync(pathOf(kept, 'app.dump'));
    const path = join(kept.directory, 'damaged');
    for (const end of [0, 100, Math.floor(whole.length / 2), whole.length - 10]) {
      writeFileSync(path, whole.subarray(0, end));
      const error = await failing(await newDatabase(), { source: path });
      expect([end, error.type]).toEqual([end, 'ObjectDamaged']);
      const script = { source: path, inOneTransaction: 'SELECT 1' } as const;
      expect(await failing(await newDatabase(), script)).toMatchObject({ name: expect.any(String) });
    }
    const flipped = Buffer.from(whole);
    const at = whole.length - 3000;
    flipped[at] = (flipped[at] ?? 0) ^ 0xff;
    writeFileSync(path, flipped);
    expect(await failing(await newDatabase(), { source: path })).toMatchObject({
      name: expect.any(String),
    });
    const directory = join(kept.directory, 'cut');
    mkdirSync(directory);
    const files = readdirSync(join(kept.directory, 'd'));
    const largest = files.find((name) => name.endsWith('.dat.gz')) ?? '';
    for (const name of files.filter((each) => each !== largest))
      copyFileSync(join(kept.directory, 'd', name), join(directory, name));
    expect(await failing(await newDatabase(), { source: directory })).toMatchObject({
      type: 'ObjectDamaged',
    });
    rmSync(directory, { recursive: true });
  });

  it('into a database that has something of it fails with what PostgreSQL says', async () => {
    const database = await newDatabase();
    await source.psql(database, 'SET default_transaction_read_only = off; CREATE TABLE big (i int)');
    expect(await failing(database, {})).toMatchObject({
      type: 'RestoreFailed',
      message: expect.stringMatching(/relation "big" already exists.*no use/),
      finding: { kind: 'already exists' },
    });
  });

  it('leaves nothing running when it is cancelled in the middle', async () => {
    const database = await newDatabase();
    const controller = new AbortController();
    const reason = new Error('cancelled by a person');
    // Somebody holds the extension back: pg_restore waits.
    const holder = source.psql(
      database,
      'SET default_transaction_read_only = off; BEGIN; CREATE TABLE public.big (i int); SELECT pg_sleep(60)',
    );
    holder.catch(() => undefined);
    const loading = failing(database, { signal: controller.signal });
    await until(
      'pg_restore waits',
      async () =>
        (await source.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)) !== '0',
    );
    controller.abort(reason);
    expect(await loading).toBe(reason);
    expect(processesWith(canary())).toEqual([]);
    expect(await sessionsLeft(source)).toBe('');
    await source.psql(
      'postgres',
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()`,
    );
  });

  it('stops at once where its database is dropped', async () => {
    const database = await newDatabase();
    const lock = source.psql(
      database,
      'SET default_transaction_read_only = off; BEGIN; CREATE TABLE public.big (i int); SELECT pg_sleep(60)',
    );
    lock.catch(() => undefined);
    const loading = failing(database, {});
    await until(
      'pg_restore waits',
      async () =>
        (await source.psql('postgres', `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'`)) !== '0',
    );
    await source.psql('postgres', `DROP DATABASE ${quoteIdent(database)} WITH (FORCE)`);
    await source.psql('postgres', `CREATE DATABASE ${quoteIdent(database)} TEMPLATE template0`);
    expect(await loading).toMatchObject({ name: expect.stringMatching(/PostgresUnavailable|PlanChanged/) });
    expect(await source.psql(database, `SELECT count(*) FROM pg_class WHERE relname = 'refers'`)).toBe('0');
  });

  it('is not read by an older pg_restore', async () => {
    expect(await failing('postgres', { dumpVersion: '99.1' })).toMatchObject({
      type: 'ToolTooOld',
      message: expect.stringContaining('pg_dump 99.1'),
    });
  });
});

it('of an older server comes onto it by a newer pg_restore, as a script', async () => {
  const old = await startPostgres({ major: 15 });
  const kept = keep();
  try {
    await makeSample(old);
    await archivesOf(old, kept, { exclude: oddNames });
    await old.psql('postgres', 'CREATE DATABASE again TEMPLATE template0');
    const [newest] = availableMajors().toReversed();
    if (newest === undefined) throw new Error('no server is installed');
    const other = await startPostgres({ major: newest });
    const tools = await toolsOf(other);
    await other.stop();
    await loadArchive({
      ...{ server: addressOf(old), tools, database: 'again', dumpVersion: '15.1', jobs: 2 },
      source: pathOf(kept, 'app.dump'),
      signal: new AbortController().signal,
    });
    expect(await dumpedAgain(old, 'again')).toBe(await dumpedAgain(old, 'app'));
  } finally {
    await old.stop();
    kept.remove();
  }
});
