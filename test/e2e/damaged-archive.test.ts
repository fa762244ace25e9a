import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { copyFile, readdir, rename, stat, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';
import type { RecoveryPlan } from '../../src/domain/recovery-plan.ts';
import type { Progress } from '../../src/domain/run.ts';
import { expectClean } from './oracle.ts';
import {
  leftOfRecoveries,
  note,
  recover,
  recoverTo,
  startArchive,
  startArchiving,
  stopArchiving,
  systemOf,
  untilArchived,
  walDirectoryOf,
} from './recovering.ts';
import { backUp, failureOf, type Failed } from './runs.ts';

/** A full backup, two increments on it, and after each of them some log, in segments of 1 MiB. */
describe('an archive that is damaged', () => {
  let world: World;
  let server: PostgresServer;
  let directory: string;
  let bases: string[];
  /** Each holds a note, one after the other, after the last backup. */
  const segments: string[] = [];

  beforeAll(async () => {
    ({ world, server } = await startArchiving({
      major: 17,
      settings: { summarize_wal: 'on' },
      initdb: ['--wal-segsize=1'],
      policy: { fullEvery: 3 },
    }));
    await world.startWorker();
    const archive = await startArchive(world);
    const ids: string[] = [];
    for (const text of ['after the full one', 'after its first', 'after its second']) {
      ids.push((await backUp(world, 'base')).id);
      await note(server, text);
    }
    bases = ids;
    for (const text of ['a', 'b', 'c', 'd']) {
      await note(server, text);
      // So much that half a segment is more than what tells of it.
      await server.psql('postgres', 'CREATE TABLE IF NOT EXISTS filler (text text)');
      await server.psql('postgres', 'INSERT INTO filler SELECT md5(n::text) FROM generate_series(1, 2000) n');
      segments.push(await untilArchived(world, server));
    }
    directory = join(await walDirectoryOf(world, server), '00000001');
    await archive.cancel();
  });
  afterAll(() => stopArchiving({ world }));

  /** The whole archive can be recovered, which every test leaves so. */
  beforeEach(async () => {
    expect(await leftOfRecoveries(world)).toEqual([]);
  });

  const fileOf = (segment: string | undefined) => join(directory, `${segment ?? ''}.zst`);
  const aside = (file: string) => `${file}.aside`;
  const baseDirectory = async (id: string | undefined) =>
    join(world.repository, 'main', 'physical', await systemOf(server), id ?? '');

  /** Runs something while a file is another one, and puts the file back. */
  async function whileDamaged<T>(file: string, damage: () => Promise<unknown>, act: () => Promise<T>): Promise<T> {
    await copyFile(file, aside(file));
    try {
      await damage();
      return await act();
    } finally {
      await rename(aside(file), file);
    }
  }

  const truncated = async (file: string) => truncate(file, Math.floor((await stat(file)).size / 2));

  async function refusalOf(target: unknown, more: object = {}): Promise<Failed & { readonly steps: string }> {
    const handle = await recover(world, target, more);
    const failure = await failureOf(handle);
    const { steps } = await handle.query<Progress<RecoveryPlan>>('progress');
    return { ...failure, steps: steps.map(({ name }) => name).join(', ') };
  }

  test('is none as long as a full backup, its increments and the log are there', async () => {
    const copy = await recoverTo(world, 'latest');
    const { plan } = await copy.handle.query<Progress<RecoveryPlan>>('progress');
    expect(plan?.facts.chain.map(({ id, type }) => `${type} ${id}`)).toEqual([
      `full ${bases[0] ?? ''}`,
      `incremental ${bases[1] ?? ''}`,
      `incremental ${bases[2] ?? ''}`,
    ]);
    expect(await copy.notes()).toBe('after the full one,after its first,after its second,a,b,c,d');
    await copy.throwAway();
  });

  test('a segment that is missing is named before anything is touched', async () => {
    const [, missing] = segments;
    await rename(fileOf(missing), aside(fileOf(missing)));
    const refusal = await refusalOf('latest').finally(() => rename(aside(fileOf(missing)), fileOf(missing)));
    expect(refusal).toMatchObject({ type: 'PlanHopeless', steps: 'resolve, plan' });
    expect(refusal.message).toContain(`${missing ?? ''} is missing`);
  });

  test('a segment that is cut off is named, and the copy is thrown away', async () => {
    const file = fileOf(segments[1]);
    const refusal = await whileDamaged(
      file,
      () => truncated(file),
      () => refusalOf('latest'),
    );
    expect(refusal.type).toBe('ObjectDamaged');
    expect(refusal.message).toContain(segments[1]);
  });

  test('a segment that is another one is named, and the copy is thrown away', async () => {
    const file = fileOf(segments[1]);
    const refusal = await whileDamaged(
      file,
      () => copyFile(fileOf(segments[2]), file),
      () => refusalOf('latest'),
    );
    expect(refusal.type).toBe('ObjectDamaged');
    expect(refusal.message).toContain(segments[1]);
  });

  test('an increment whose chain has lost its middle is refused, and what is whole is used', async () => {
    const lost = await baseDirectory(bases[1]);
    await rename(lost, aside(lost));
    try {
      const refusal = await refusalOf('latest', { backup: bases[2] });
      expect(refusal).toMatchObject({ type: 'PlanHopeless', steps: 'resolve, plan' });
      expect(refusal.message).toContain(`'${bases[1] ?? ''}', which '${bases[2] ?? ''}' builds on, is gone`);
      const copy = await recoverTo(world, 'latest');
      expect(await copy.notes()).toBe('after the full one,after its first,after its second,a,b,c,d');
      expect(await copy.throwAway()).toMatchObject({ base: bases[0] });
    } finally {
      await rename(aside(lost), lost);
    }
  });

  test('a base backup that is cut off is named, and the copy is thrown away', async () => {
    const base = await baseDirectory(bases[1]);
    const [archive = ''] = (await readdir(base)).filter((name) => name.startsWith('base.tar'));
    const file = join(base, archive);
    const refusal = await whileDamaged(
      file,
      () => truncated(file),
      () => refusalOf('latest'),
    );
    expect(refusal.type).toBe('ObjectDamaged');
    expect(refusal.message).toContain(bases[1]);
  });

  test('leaves nothing behind', () => expectClean(world, server), 60_000);
});
