import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { BaseManifest } from '../../../src/domain/base-manifest.ts';
import type { SegmentId } from '../../../src/domain/wal.ts';
import { promote } from '../../../src/postgres/recovery/promote.ts';
import { beginRecovery } from '../../../src/postgres/recovery/recover.ts';
import { ask, away, fetched, recoveryInput } from './recovering.ts';
import { startSource, type Source } from './source.ts';

describe.each([15, 17] as const)('a copy of PostgreSQL %i', (major) => {
  let source: Source;
  let base: BaseManifest;
  let last: SegmentId;

  /** pg_prewarm starts a worker of its own, as pg_cron does; ALTER SYSTEM's settings travel with the base. */
  beforeAll(async () => {
    source = await startSource(major, { shared_preload_libraries: 'pg_prewarm', max_connections: '25' });
    const sql = (text: string) => source.server.psql('postgres', text);
    for (const [name, value] of [
      ['archive_command', `cp %p ${source.archiveDirectory}/%f`],
      ['primary_conninfo', `host=${source.server.socketDir} port=${String(source.server.port)} user=postgres`],
      ['restore_command', `cp ${source.archiveDirectory}/%f %p`],
      ['shared_preload_libraries', 'pg_prewarm'],
      ['listen_addresses', '*'],
    ] as const)
      await sql(`ALTER SYSTEM SET ${name} = '${value}'`);
    await sql('CREATE TABLE t (n int)');
    base = await source.takeBase('20261121-020000');
    last = await source.archiveNow();
  });
  afterAll(() => source.end());

  const workers = `SELECT coalesce(string_agg(backend_type, ','), '') FROM pg_stat_activity
    WHERE backend_type ~ 'archiver|walreceiver|walsender|logical'`;

  test('archives nothing, follows nobody and runs no jobs, paused or promoted, whatever its source does', async () => {
    expect(await processesOf(source.server.dataDir)).toContain('autoprewarm');
    const directory = await fetched(source, 'copy', base);
    const input = recoveryInput(source, directory, base, { kind: 'latest' }, last);
    const reached = await beginRecovery(input);
    expect(await ask(reached, workers)).toEqual(['']);
    expect(await processesOf(input.dataDirectory)).not.toMatch(/autoprewarm|archiver|walreceiver/);
    expect(await ask(reached, "SELECT current_setting('max_connections')")).toEqual(['25']);
    const before = await readdir(source.archiveDirectory);
    const promoted = await promote(input);
    for (const sql of ['INSERT INTO public.t VALUES (1)', 'SELECT pg_switch_wal()', 'CHECKPOINT'])
      await ask(promoted, sql);
    expect(await ask(promoted, workers)).toEqual(['']);
    expect(
      await ask(promoted, "SELECT current_setting('archive_mode') || current_setting('listen_addresses')"),
    ).toEqual(['off']);
    expect(await readdir(source.archiveDirectory)).toEqual(before);
    await away(directory);
  });

  test('gets more of what its log demands than the base backup knew of', async () => {
    const directory = await fetched(source, 'raised', base);
    // the source is given more after the backup was taken
    await source.server.psql('postgres', 'ALTER SYSTEM SET max_connections = 40');
    await source.server.restart();
    await source.server.psql('postgres', 'INSERT INTO t VALUES (7)');
    const end = await source.archiveNow();
    const reached = await beginRecovery(recoveryInput(source, directory, base, { kind: 'latest' }, end));
    expect(await ask(reached, "SELECT current_setting('max_connections')")).toEqual(['40']);
    expect(await ask(reached, 'SELECT n FROM public.t')).toEqual(['7']);
    await away(directory);
  });
});

/** What the processes of a server call themselves. */
async function processesOf(dataDirectory: string): Promise<string> {
  const [pid = ''] = (await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8')).split('\n');
  const children = (await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')).split(' ').filter(Boolean);
  const names = await Promise.all(children.map((child) => readFile(`/proc/${child}/cmdline`, 'utf8').catch(() => '')));
  return names.join('\n');
}
