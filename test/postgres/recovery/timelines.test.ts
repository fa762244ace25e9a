import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cp, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseManifest } from '../../../src/domain/base-manifest.ts';
import { startInstance, type InstanceInput } from '../../../src/postgres/instance/start.ts';
import { stopInstance } from '../../../src/postgres/instance/stop.ts';
import { beginRecovery, instanceFor } from '../../../src/postgres/recovery/recover.ts';
import { promote } from '../../../src/postgres/recovery/promote.ts';
import { segmentName, type SegmentId } from '../../../src/domain/wal.ts';
import { ask, away, fetched, recoveryInput, signal } from './recovering.ts';
import { segmentBytes, startSource, type Source } from './source.ts';

const rows = 'SELECT n FROM public.t ORDER BY n';

describe.each([15, 17] as const)('recovery of PostgreSQL %i across timelines', (major) => {
  let source: Source;
  let base: BaseManifest;
  let oldEnd: SegmentId;
  let newEnd: SegmentId;

  /** A promoted copy goes on as the cluster: it writes timeline 2, of which everything is archived by hand. */
  beforeAll(async () => {
    source = await startSource(major);
    const sql = (text: string) => source.server.psql('postgres', text);
    await sql('CREATE TABLE t (n int PRIMARY KEY); INSERT INTO t VALUES (0)');
    base = await source.takeBase('20261121-020000');
    await sql('INSERT INTO t VALUES (1)');
    await sql("SELECT pg_create_restore_point('branch')");
    await source.archiveNow();
    await sql('INSERT INTO t VALUES (2)');
    oldEnd = await source.archiveNow();

    const directory = await fetched(source, 'branch', base);
    const place = { kind: 'name', name: 'branch' } as const;
    const input = { ...recoveryInput(source, directory, base, place, oldEnd), settings: { wal_keep_size: '64MB' } };
    await beginRecovery(input);
    const promoted = await promote(input);
    await ask(promoted, 'INSERT INTO public.t VALUES (10)');
    const [name = ''] = await ask(promoted, 'SELECT pg_walfile_name(pg_current_wal_insert_lsn())');
    await ask(promoted, 'SELECT pg_switch_wal()');
    const [begin = ''] = await ask(promoted, 'SELECT left(pg_walfile_name(pg_current_wal_insert_lsn()), 8)');
    expect(begin).toBe('00000002');
    const wal = join(directory, 'data', 'pg_wal');
    newEnd = { timeline: 2, number: BigInt(`0x${name.slice(8, 16)}`) * 4096n + BigInt(`0x${name.slice(16)}`) };
    expect(segmentName(2, newEnd.number, segmentBytes)).toBe(name);
    for (const file of await readdir(wal))
      if (/^00000002([0-9A-F]{16}|\.history)$/.test(file) && file <= name)
        await cp(join(wal, file), join(source.archiveDirectory, file));
    await cp(join(wal, '00000002.history'), join(source.archiveDirectory, '00000002.history'));
    await away(directory);
  });
  afterAll(() => source.end());

  test('follows the timeline that it was told to, and no other', async () => {
    const directory = await fetched(source, 'new', base);
    const reached = await beginRecovery(recoveryInput(source, directory, base, { kind: 'latest' }, newEnd, 2));
    expect(reached.timeline).toBe(2);
    expect(await ask(reached, rows)).toEqual(['0', '1', '10']);
    await away(directory);
    const old = await fetched(source, 'old', base);
    const other = await beginRecovery(recoveryInput(source, old, base, { kind: 'latest' }, oldEnd, 1));
    expect(other.timeline).toBe(1);
    expect(await ask(other, rows)).toEqual(['0', '1', '2']);
    // a new timeline is one that nobody has
    const promoted = await promote(recoveryInput(source, old, base, { kind: 'latest' }, oldEnd, 1));
    expect(promoted.timeline).toBe(3);
    expect(await ask(promoted, rows)).toEqual(['0', '1', '2']);
    await away(old);
  });

  test('is refused where the history of its timeline is missing', async () => {
    const directory = await fetched(source, 'lost', base);
    const path = join(source.archiveDirectory, '00000002.history');
    await rename(path, `${path}.hidden`);
    const input = recoveryInput(source, directory, base, { kind: 'latest' }, newEnd, 2);
    await expect(beginRecovery(input)).rejects.toMatchObject({
      type: 'ObjectDamaged',
      message: expect.stringContaining('00000002.history') as unknown,
    });
    await rename(`${path}.hidden`, path);
    expect(await ask(await beginRecovery(input), rows)).toEqual(['0', '1', '10']);
    await away(directory);
  });

  test('stands where it was after the machine was started anew', async () => {
    const directory = await fetched(source, 'reboot', base);
    const input = recoveryInput(source, directory, base, { kind: 'name', name: 'branch' }, newEnd, 2);
    const before = await beginRecovery(input);
    await stopInstance(input.dataDirectory, { signal, mode: 'immediate' });
    const after = await beginRecovery(input);
    expect(after).toMatchObject({ lsn: before.lsn, stoppedBy: 'target' });
    expect(await ask(after, rows)).toEqual(['0', '1']);
    const promoted = await promote(input);
    await stopInstance(input.dataDirectory, { signal });
    const up: InstanceInput = await instanceFor(input, undefined);
    await startInstance(up, { signal });
    expect(await ask(promoted, 'INSERT INTO public.t VALUES (99) RETURNING n')).toEqual(['99']);
    await away(directory);
  });
});
