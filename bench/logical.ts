import { stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { PlannedRestore } from '../src/activities/index.ts';
import { planRestore } from '../src/activities/plan-restore.ts';
import { dropCopy, loadCopy } from '../src/activities/restore-copy.ts';
import { commitBackup } from '../src/activities/site-backup.ts';
import { takeBackup } from '../src/activities/take-backup.ts';
import { restoreArgument } from '../src/domain/arguments.ts';
import { partOf } from '../src/domain/manifest.ts';
import type { RunIdentity } from '../src/domain/run.ts';
import { backupSpec, restoreSpec } from '../src/domain/specs.ts';
import { readManifest } from '../src/storage/catalog.ts';
import type { Repository } from '../src/storage/repository.ts';
import { close, fill, openStage, seconds, shell, type Stage } from './stage.ts';
import { figure, type Figure } from './table.ts';

/** A tenth and ten tenths: 1.8 GB of dump in two databases. */
const smallMegabytes = 164;
const bigMegabytes = 1640;

export const identity = (turn: number): RunIdentity => ({
  workflowId: `bench-${String(turn)}`,
  firstExecutionRunId: 'bench',
  short: `0000000${String(turn)}`.slice(-8),
});

/** From nothing to a manifest. */
export async function backUp({ deps, config, work }: Stage, turn: number, policy = 'all'): Promise<string> {
  const spec = backupSpec(config, { policy });
  const run = identity(turn);
  const taken = await takeBackup(deps, { spec, run, startedAt: new Date().toISOString(), turn: 1, attempt: 1 }, work);
  const { manifestKey } = await commitBackup(deps, { spec, run, taken }, work);
  return manifestKey;
}

async function openFilled(): Promise<Stage> {
  const stage = await openStage(15);
  await fill(stage.server, 'small', smallMegabytes);
  await fill(stage.server, 'big', bigMegabytes);
  return stage;
}

export async function logicalBackup(repeat: number): Promise<Figure[]> {
  const stage = await openFilled();
  try {
    const file = join(dirname(stage.directory), 'theirs.sql.gz');
    const ours: number[] = [];
    const gzip: number[] = [];
    const nothing: number[] = [];
    await shell(stage, 'pg_dumpall > /dev/null'); // warms the caches for everybody
    for (let turn = 1; turn <= repeat; turn += 1) {
      nothing.push(await shell(stage, 'pg_dumpall > /dev/null'));
      ours.push(await seconds(() => backUp(stage, turn)));
      gzip.push(await shell(stage, `pg_dumpall | gzip > '${file}'`));
    }
    return [
      figure('backup to a directory, against pg_dumpall | gzip', 's', 0.45, ours, gzip),
      figure('backup to a directory, against pg_dumpall > /dev/null', 's', 1.2, ours, nothing),
    ];
  } finally {
    await close(stage);
  }
}

export async function oneDatabase(repeat: number): Promise<Figure[]> {
  const stage = await openFilled();
  try {
    const { deps, config, directory, work, server } = stage;
    const manifestKey = await backUp(stage, 1);
    const file = join(dirname(directory), 'small.sql.gz');
    await shell(stage, `pg_dump small | gzip > '${file}'`);
    const read = await readManifest(deps.openRepository({ name: 'nas', directory }), manifestKey);
    const own = 'found' in read && read.found ? (partOf(read.found, 'content', 'small')?.length ?? 0) : 0;
    const counter = { bytes: 0 };
    const counting = {
      ...deps,
      openRepository: () => counted(deps.openRepository({ name: 'nas', directory }), counter),
    };
    const spec = restoreSpec(config, restoreArgument.parse({ cluster: 'bench', database: 'small', into: 'copy' }));
    const ours: number[] = [];
    const theirs: number[] = [];
    for (let turn = 1; turn <= repeat; turn += 1) {
      const run = identity(turn + 1);
      const planned: PlannedRestore = await planRestore(deps, { spec, run });
      counter.bytes = 0;
      ours.push(await seconds(() => loadCopy(counting, { spec, planned, run }, work)));
      await dropCopy(deps, { spec, planned, run });
      theirs.push(
        await shell(stage, `createdb theirs; zcat '${file}' | psql -q -X -v ON_ERROR_STOP=1 theirs > /dev/null`),
      );
      await server.psql('postgres', 'DROP DATABASE theirs');
    }
    const whole = (
      await stat(
        join(directory, 'bench/logical', manifestKey.replace(/^.*\//, '').replace('.manifest.json', '.sql.gz')),
      )
    ).size;
    console.log(`  its own bytes are ${((100 * own) / whole).toFixed(1)} % of the file`);
    return [
      figure('one database out of a whole file, against zcat | psql of its own dump', 's', 1.1, ours, theirs),
      figure('bytes read for it, against its own', 'bytes', 1.05, [counter.bytes], [own]),
    ];
  } finally {
    await close(stage);
  }
}

/** A repository that counts what is read of objects; manifests are text and don't count. */
function counted(repository: Repository, counter: { bytes: number }): Repository {
  return new Proxy(repository, {
    get(target, name) {
      if (name === 'read') {
        const read: Repository['read'] = async function* (...args) {
          for await (const chunk of target.read(...args)) {
            counter.bytes += chunk.length;
            yield chunk;
          }
        };
        return read;
      }
      const value: unknown = Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
