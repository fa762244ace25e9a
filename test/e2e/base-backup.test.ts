import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { WorkerProcess, World } from '../../parts/world.ts';
import { baseManifestSchema, type BaseManifest } from '../../src/domain/base-manifest.ts';
import { parseLsn, segmentName, segmentNumber } from '../../src/domain/wal.ts';
import { clusterAt } from './ledger.ts';
import { expectClean } from './oracle.ts';
import {
  note,
  recover,
  recoverTo,
  segmentsIn,
  startArchive,
  startArchiving,
  stopArchiving,
  systemOf,
  untilArchived,
} from './recovering.ts';
import { backUp, failureOf, start } from './runs.ts';

const run = promisify(execFile);
const segmentBytes = 1024 ** 2;

/** One byte in the middle of a file becomes another one. */
async function flipByte(file: string): Promise<void> {
  const at = Math.floor((await stat(file)).size / 2);
  const handle = await open(file, 'r+');
  try {
    const byte = Buffer.alloc(1);
    await handle.read(byte, 0, 1, at);
    await handle.write(Buffer.from([(byte[0] ?? 0) ^ 0xff]), 0, 1, at);
  } finally {
    await handle.close();
  }
}

/** Segments of 1 MiB, so that there are many. */
describe('a base backup', () => {
  let world: World;
  let server: PostgresServer;
  let directory: string;
  let worker: WorkerProcess;

  beforeAll(async () => {
    ({ world, server } = await startArchiving({ major: 15, initdb: ['--wal-segsize=1'] }));
    await configure({});
    worker = await world.startWorker();
    await startArchive(world);
    directory = join(world.repository, 'main', 'physical', await systemOf(server));
  });
  afterAll(() => stopArchiving({ world }));

  const configure = (keep: object) =>
    world.configure({
      clusters: { main: { ...clusterAt(server, 'main'), wal: { repository: 'nas', maxAge: '1h' } } },
      policies: { base: { cluster: 'main', method: 'base', repository: 'nas', ...keep } },
    });
  const manifestOf = async (id: string): Promise<BaseManifest> =>
    baseManifestSchema.parse(JSON.parse(await readFile(join(directory, id, 'manifest.json'), 'utf8')));
  /** Of which there is anything. */
  const idsIn = async (place: string) =>
    [
      ...new Set(
        (await readdir(place, { recursive: true, withFileTypes: true }))
          .filter((entry) => entry.isFile())
          .map(({ parentPath }) => basename(parentPath)),
      ),
    ].sort();
  const evidenceOf = (id: string) => readdir(join(world.repository, 'main', 'evidence', id));

  test('lies under its own name with a manifest, is read by stock tools, and was read back', async () => {
    const { id, status } = await backUp(world, 'base');
    expect(status).toBe('complete');
    expect(id).toMatch(/^base-\d{8}-\d{6}$/);
    const manifest = await manifestOf(id);
    expect(manifest).toMatchObject({
      id,
      cluster: 'main',
      policy: 'base',
      type: 'full',
      parent: null,
      includesWal: false,
    });
    expect(manifest.server.systemIdentifier).toBe(await systemOf(server));
    const own = `main/physical/${manifest.server.systemIdentifier}/${id}`;
    expect((await readdir(join(directory, id))).map((name) => `${own}/${name}`).sort()).toEqual(
      [...manifest.objects.map(({ key }) => key), `${own}/manifest.json`].sort(),
    );
    const [archive] = manifest.archives;
    const { stdout } = await run('sh', ['-c', `zstd -dc '${join(world.repository, archive?.key ?? '')}' | tar -t`]);
    expect(stdout.split('\n')).toEqual(expect.arrayContaining(['backup_label', 'PG_VERSION', 'global/pg_control']));
    expect(await evidenceOf(id)).toEqual([expect.stringMatching(/^verify-.*-passed\.json$/)]);
    const { stdout: listed } = await world.holdfast('backups', 'list');
    expect(listed).toContain(id);
  });

  test('goes together with its log once its policy keeps newer ones, and never with more', async () => {
    const ids: string[] = [];
    for (const text of ['one', 'two']) {
      ids.push((await backUp(world, 'base')).id);
      await note(server, text);
      await untilArchived(world, server);
    }
    expect(await idsIn(directory)).toHaveLength(3);
    await configure({ keep: { last: 1 } });
    const { id, pruned } = await backUp(world, 'base');
    expect(pruned).toHaveLength(3);
    expect(pruned).toEqual(expect.arrayContaining(ids));
    expect(await idsIn(directory)).toEqual([id]);
    expect(await idsIn(join(world.repository, 'main', 'evidence'))).toEqual([id]);
    const { startLsn } = await manifestOf(id);
    const [first] = await segmentsIn(world, server);
    expect(first).toBe(segmentName(1, segmentNumber(parseLsn(startLsn), segmentBytes), segmentBytes));
    await note(server, 'three');
    await untilArchived(world, server);
    const copy = await recoverTo(world, 'latest');
    expect(await copy.notes()).toBe('one,two,three');
    await copy.throwAway();
  });

  test('that a verification finds damaged is told of and never used', async () => {
    await configure({});
    const [good] = await idsIn(directory);
    await worker.end();
    const doomed = await world.startWorker({ failpoints: 'verify:read=kill' });
    const backup = await start(world, 'backup', { policy: 'base' });
    await doomed.ended();
    const id = (await idsIn(directory)).at(-1) ?? '';
    expect(id).not.toBe(good);
    await flipByte(join(directory, id, 'base.tar.zst'));
    await world.startWorker();
    const failure = await failureOf(backup);
    expect(failure.type).toBe('VerificationFailed');
    expect(failure.message).toContain(`base backup ${id} is damaged`);
    expect(await evidenceOf(id)).toEqual([expect.stringMatching(/^verify-.*-failed\.json$/)]);
    expect(await world.holdfast('backups', 'verify', id)).toMatchObject({ code: 8 });
    await note(server, 'four');
    await untilArchived(world, server);
    const refusal = await failureOf(await recover(world, 'latest', { backup: id }));
    expect(refusal).toMatchObject({ type: 'PlanHopeless' });
    expect(refusal.message).toContain(`base backup '${id}' can't be used: a verification found it damaged`);
    const copy = await recoverTo(world, 'latest');
    expect(await copy.notes()).toBe('one,two,three,four');
    expect(await copy.throwAway()).toMatchObject({ base: good });
  });

  test('leaves nothing behind', async () => {
    await world.client.workflow.getHandle('wal/main').cancel();
    await expectClean(world, server);
  });
});
