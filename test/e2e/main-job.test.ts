import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { createSample, damage, fingerprint } from '../../demo/sample.ts';
import type { PostgresMajor, PostgresServer } from '../../parts/postgres-server.ts';
import { startWorld, type World } from '../../parts/world.ts';
import { manifestSchema } from '../../src/domain/manifest.ts';
import type { RestoreResult } from '../../src/workflows/restore-run.ts';
import { approve, backUp, start, untilDecision, untilFollowUp } from './runs.ts';

const run = promisify(execFile);

describe.each<PostgresMajor>([15, 17])('the main job on PostgreSQL %i', (major) => {
  let world: World;
  let server: PostgresServer;

  beforeAll(async () => {
    world = await startWorld();
    server = await world.addPostgres('main', { major });
    await world.configure({
      policies: {
        daily: {
          cluster: 'main',
          method: 'pg_dumpall',
          repository: 'nas',
          path: '',
          prefix: 'postgres-backup',
          schedule: '0 2 * * *',
          keep: { last: 2 },
        },
      },
    });
    await createSample(server);
    await world.startWorker();
  });
  afterAll(() => world.stop());

  test('a schedule takes backups with the names that users know, and prunes', async () => {
    const { code, stdout } = await world.holdfast('apply');
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('created') as unknown as string,
    });
    const schedule = world.client.schedule.getHandle('world/daily');
    const seen = new Set<string>();
    for (let turn = 1; turn <= 3; turn += 1) {
      await schedule.trigger();
      let workflowId: string | undefined;
      while (workflowId === undefined) {
        const { recentActions } = (await schedule.describe()).info;
        workflowId = recentActions.map(({ action }) => action.workflow.workflowId).find((id) => !seen.has(id));
      }
      seen.add(workflowId);
      await world.client.workflow.getHandle(workflowId).result();
    }
    const files = (await readdir(world.repository)).filter((name) => name.startsWith('postgres-backup-'));
    expect(files.filter((name) => /^postgres-backup-\d{8}-\d{6}\.sql\.gz$/.test(name))).toHaveLength(2);
    expect(files.filter((name) => name.endsWith('.manifest.json'))).toHaveLength(2);
    expect(files).toHaveLength(4);
  });

  test('the manifest lists members that lie end to end in the file', async () => {
    const { id } = await backUp(world);
    const manifest = manifestSchema.parse(
      JSON.parse(await readFile(join(world.repository, `${id}.manifest.json`), 'utf8')),
    );
    let offset = 0;
    for (const part of manifest.parts) {
      expect(part.offset).toBe(offset);
      offset += part.length;
    }
    expect(manifest.objects).toMatchObject([{ key: `${id}.sql.gz`, bytes: offset }]);
    expect(manifest).toMatchObject({ status: 'complete', cluster: 'main', policy: 'daily', method: 'pg_dumpall' });
    const gatus = manifest.databases.find(({ name }) => name === 'gatus');
    expect(gatus?.tables).toEqual(
      expect.arrayContaining([
        ['gatus', 'endpoints', 200],
        ['gatus', 'results', 100_000],
      ]),
    );
  });

  test('a damaged database is restored beside, approved, swapped in, undone and released', async () => {
    const before = await fingerprint(server, 'gatus');
    await backUp(world);
    await damage(server);
    const damaged = await server.psql('gatus', 'SELECT count(*) FROM gatus.results');

    const handle = await start(world, 'restore', { cluster: 'main', database: 'gatus' });
    const waiting = await untilDecision(handle);
    expect(waiting.plan?.facts.report).toMatchObject({ ok: true, differences: [] });
    expect(await server.psql('gatus', 'SELECT count(*) FROM gatus.results')).toBe(damaged);
    await approve(handle, waiting);
    await untilFollowUp(handle);
    expect(await fingerprint(server, 'gatus')).toBe(before);

    await handle.signal('undo', { by: 'alice', reason: 'to see that it works' });
    await untilFollowUpAfter(handle, 'undo');
    expect(await server.psql('gatus', 'SELECT count(*) FROM gatus.results')).toBe(damaged);
    await handle.signal('release', { by: 'alice', reason: 'enough' });
    expect((await handle.result()) as RestoreResult).toMatchObject({ outcome: 'released', database: 'gatus' });
    const left = await server.psql('postgres', "SELECT datname FROM pg_database WHERE datname LIKE 'gatus%'");
    expect(left.trim()).toBe('gatus');

    const records = (await readdir(join(world.repository, 'main/runs'))).map((name) => name.replace(/^.*-\d+-/, ''));
    expect(records.sort()).toEqual(['released.json', 'swapped.json', 'undone.json']);
  });

  // Over the socket: the roles come with their passwords, so that of postgres changes on the way.
  test('the file restores with stock tools alone', async () => {
    const { id } = await backUp(world);
    const elsewhere = await world.addPostgres('elsewhere', { major });
    const file = join(world.repository, `${id}.sql.gz`);
    await run(
      'bash',
      [
        '-c',
        `set -o pipefail; zcat "$1" | "$2" -X -q -v ON_ERROR_STOP=0 -d postgres`,
        'restore',
        file,
        join(elsewhere.binDir, 'psql'),
      ],
      {
        env: {
          PATH: process.env['PATH'],
          PGHOST: elsewhere.socketDir,
          PGPORT: String(elsewhere.port),
          PGUSER: 'postgres',
        },
      },
    );
    for (const database of ['vaultwarden', 'app'])
      expect(await fingerprint(elsewhere, database)).toBe(await fingerprint(server, database));
  });
});

async function untilFollowUpAfter(handle: Parameters<typeof untilFollowUp>[0], step: string): Promise<void> {
  for (;;) {
    const progress = await untilFollowUp(handle);
    if (progress.steps.some(({ name, status }) => name === step && status === 'done')) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
