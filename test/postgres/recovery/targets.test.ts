import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseManifest } from '../../../src/domain/base-manifest.ts';
import type { SegmentId } from '../../../src/domain/wal.ts';
import { goOn } from '../../../src/postgres/recovery/go-on.ts';
import { promote } from '../../../src/postgres/recovery/promote.ts';
import { beginRecovery } from '../../../src/postgres/recovery/recover.ts';
import { ask, away, fetched, recoveryInput, type Place } from './recovering.ts';
import { startSource, type Source } from './source.ts';

describe.each([15, 17] as const)('recovery of PostgreSQL %i', (major) => {
  let source: Source;
  let base: BaseManifest;
  let last: SegmentId;
  const at: Record<string, string> = {};
  const rows = 'SELECT n FROM public.t ORDER BY n';

  beforeAll(async () => {
    source = await startSource(major);
    const sql = (text: string) => source.server.psql('postgres', text);
    await sql('CREATE TABLE t (n int PRIMARY KEY); INSERT INTO t VALUES (0)');
    base = await source.takeBase('20261121-020000');
    await sql('INSERT INTO t VALUES (1)');
    at['time1'] = await sql(`SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.USZ')`);
    at['lsn1'] = await sql('SELECT pg_current_wal_insert_lsn()');
    await sql('SELECT pg_sleep(0.05)');
    at['xid2'] = await sql('INSERT INTO t VALUES (2) RETURNING pg_current_xact_id()');
    await sql("SELECT pg_create_restore_point('before-three')");
    await sql('SELECT pg_sleep(0.05)');
    await sql('INSERT INTO t VALUES (3)');
    at['time3'] = await sql(
      `SELECT to_char(clock_timestamp() + interval '1 hour', 'YYYY-MM-DD"T"HH24:MI:SS.US') || '+00:00'`,
    );
    last = await source.archiveNow();
  });
  afterAll(() => source.end());

  const recovered = async (name: string, place: Place) => {
    const directory = await fetched(source, name, base);
    return { directory, reached: await beginRecovery(recoveryInput(source, directory, base, place, last)) };
  };

  test('to a time between two transactions has exactly the first, paused and readable', async () => {
    const { directory, reached } = await recovered('time', { kind: 'time', at: at['time1'] ?? '', inclusive: true });
    expect(reached).toMatchObject({ stoppedBy: 'target', paused: true, timeline: 1 });
    expect(reached.words).toMatch(/^recovery stopping before commit of transaction/);
    expect((reached.lastTransactionTime ?? '') < (at['time1'] ?? '')).toBe(true);
    expect(await ask(reached, rows)).toEqual(['0', '1']);
    await expect(ask(reached, 'INSERT INTO public.t VALUES (9)')).rejects.toThrow('read-only');
    await away(directory);
    expect(existsSync(join(directory, 'data'))).toBe(false);
  });

  test('to a place in the log, a transaction, a name, the backup itself and the newest that is archived', async () => {
    const expected: readonly (readonly [string, Place, readonly string[]])[] = [
      ['lsn', { kind: 'lsn', lsn: at['lsn1'] ?? '', inclusive: true }, ['0', '1']],
      ['xid', { kind: 'xid', xid: at['xid2'] ?? '', inclusive: true }, ['0', '1', '2']],
      ['before-xid', { kind: 'xid', xid: at['xid2'] ?? '', inclusive: false }, ['0', '1']],
      ['name', { kind: 'name', name: 'before-three' }, ['0', '1', '2']],
      ['immediate', { kind: 'immediate' }, ['0']],
      ['latest', { kind: 'latest' }, ['0', '1', '2', '3']],
    ];
    for (const [name, place, found] of expected) {
      const { directory, reached } = await recovered(name, place);
      expect([name, await ask(reached, rows)]).toEqual([name, found]);
      expect(reached.stoppedBy).toBe(name === 'latest' ? 'archive' : 'target');
      expect(await ask(reached, 'SELECT pg_get_wal_replay_pause_state()')).toEqual(['paused']);
      await away(directory);
    }
  });

  test('to a time after the last commit, or to a name that is not there, ends at the end of the archive and says so', async () => {
    for (const [name, place] of [
      ['late', { kind: 'time', at: at['time3'] ?? '', inclusive: true }],
      ['nameless', { kind: 'name', name: 'never-made' }],
    ] as const) {
      const { directory, reached } = await recovered(name, place);
      expect(reached).toMatchObject({ stoppedBy: 'archive', words: null, paused: true });
      expect(await ask(reached, rows)).toEqual(['0', '1', '2', '3']);
      expect(await ask(reached, 'SELECT pg_is_in_recovery()')).toEqual(['true']);
      await away(directory);
    }
  });

  test('goes on to a later target, never to an earlier one, and is promoted to a timeline of its own', async () => {
    const { directory, reached } = await recovered('on', { kind: 'time', at: at['time1'] ?? '', inclusive: true });
    expect(await ask(reached, rows)).toEqual(['0', '1']);
    const input = (place: Place) => recoveryInput(source, directory, base, place, last);
    const early: Place = { kind: 'lsn', lsn: base.stopLsn, inclusive: true };
    await expect(goOn(input(early))).rejects.toMatchObject({ type: 'InvalidArgument' });
    await expect(goOn(input({ kind: 'immediate' }))).rejects.toMatchObject({ type: 'InvalidArgument' });
    const later = input({ kind: 'name', name: 'before-three' });
    const second = await goOn(later);
    expect(await ask(second, rows)).toEqual(['0', '1', '2']);
    // asked again, as a retry does, it is still there
    expect(await beginRecovery(later)).toMatchObject({ lsn: second.lsn });
    const promoted = await promote(later);
    expect(promoted.timeline).toBe(2);
    expect(await promote(later)).toMatchObject({ timeline: 2 });
    expect(await ask(promoted, 'INSERT INTO public.t VALUES (9) RETURNING n')).toEqual(['9']);
    expect(await ask(promoted, "SELECT current_setting('restore_command')")).toEqual(['']);
    await ask(promoted, 'SELECT pg_switch_wal()');
    await expect(goOn(input({ kind: 'latest' }))).rejects.toThrow('promoted');
    await away(directory);
    expect(existsSync(join(source.archiveDirectory, '00000002.history'))).toBe(false);
  });

  test('with a segment missing waits, fails by its name, and goes on when it is back', async () => {
    const directory = await fetched(source, 'hole', base);
    const input = recoveryInput(source, directory, base, { kind: 'latest' }, last);
    const name =
      `00000001${(last.number / 4096n).toString(16).padStart(8, '0')}${(last.number % 4096n).toString(16).padStart(8, '0')}`.toUpperCase();
    const path = join(source.archiveDirectory, name);
    await rename(path, `${path}.hidden`);
    await expect(beginRecovery(input)).rejects.toMatchObject({
      type: 'ObjectDamaged',
      message: expect.stringContaining(name) as unknown,
    });
    await rename(`${path}.hidden`, path);
    const reached = await beginRecovery(input);
    expect(await ask(reached, rows)).toEqual(['0', '1', '2', '3']);
    await away(directory);
  });

  test('of two copies at once leaves each its own', async () => {
    const [one, other] = await Promise.all([
      recovered('one', { kind: 'immediate' }),
      recovered('other', { kind: 'latest' }),
    ]);
    expect(await ask(one.reached, rows)).toEqual(['0']);
    expect(await ask(other.reached, rows)).toEqual(['0', '1', '2', '3']);
    await away(one.directory);
    expect(await ask(other.reached, rows)).toEqual(['0', '1', '2', '3']);
    await away(other.directory);
  });
});
