import { dirname } from 'node:path';
import { HoldfastError } from '../domain/errors.ts';
import type { DrillCheckResult } from '../domain/evidence.ts';
import { findAmcheck } from '../postgres/drill/amcheck.ts';
import { readTablespaces, restoreLogical } from '../postgres/drill/logical.ts';
import type { Restored } from '../postgres/drill/outcome.ts';
import { wishOf, type ScratchServer, type ServerWish } from '../postgres/drill/scratch-server.ts';
import { readManifest } from '../storage/catalog.ts';
import { localArchive } from './archive-files.ts';
import { restoreJobs, restoreTools } from './content.ts';
import type { Dependencies } from './dependencies.ts';
import { ask, backupGone, checkSound, type DrilledBackup, type Drilling, type DrillInput } from './drill-steps.ts';
import { asRead, readPart } from './restore-cluster.ts';
import type { Source } from './source.ts';

/** Where the server of a drill is made, and how it ended if it did. */
export interface Ground {
  readonly makeServer: (wish: ServerWish) => Promise<ScratchServer>;
  /** A server that died while it was asked is a failed check, where that says something of the backup. */
  readonly fallen: () => Promise<readonly DrillCheckResult[]>;
}

/** Restores a dump into an empty server, wherever that is, and asks the policy's checks. */
export async function drillLogical(
  deps: Dependencies,
  { drilled, spec, run, attempt }: DrillInput,
  drilling: Drilling,
  ground: Ground,
): Promise<Restored> {
  const { signal, report, toolVersions } = drilling;
  const repository = deps.openRepository(spec.repository);
  const read = await readManifest(repository, drilled.manifestKey);
  if (!('found' in read)) throw damaged(drilled, read.reason);
  if (read.found === undefined) throw backupGone(drilled);
  const manifest = read.found;
  // Before anything is made; where the server is newer, it is asked for tools of its own.
  let tools = await restoreTools(deps, manifest, manifest.server.versionNum).catch(ofTools);
  const source: Source = {
    ...{ repository, manifest, signal },
    compressors: deps.compressors,
    scratch: deps.scratch,
    owner: { run: run.short, attempt },
  };
  const reading = {
    compressors: deps.compressors,
    manifest: asRead(manifest),
    read: (part: Parameters<typeof readPart>[1]) => readPart(source, part, tools),
    signal,
  };
  const begunAt = performance.now();
  const tablespaces = await readTablespaces(reading);
  const scratch = await ground.makeServer(wishOf(manifest, tablespaces.length));
  if (majorOf(scratch.versionNum) !== majorOf(manifest.server.versionNum))
    tools = await restoreTools(deps, manifest, scratch.versionNum).catch(ofTools);
  toolVersions['psql'] = tools.version;
  const amcheck = spec.amcheck ? { program: findAmcheck(tools.major, dirname(tools.psql)) } : undefined;
  const restored = await restoreLogical({
    ...reading,
    ...{ scratch, tablespaces, begunAt, tools },
    run: run.short,
    archive: (part) => localArchive(source, part, manifest.objects),
    jobs: restoreJobs,
    sessions: 2,
    onProgress: ({ phase, database, bytes, totalBytes, databasesDone, databasesTotal }) => {
      report({
        doing: `drill: ${phase}${database === null ? '' : ` ${database}`}`,
        ...{ bytes, totalBytes, done: databasesDone, total: databasesTotal },
      });
    },
  });
  await deps.failpoint('drill:restored');
  const asked = await ask(spec, restored, drilling);
  const sound = amcheck === undefined ? [] : [await checkSound(amcheck.program, restored, drilling)];
  return { ...restored, checks: [...restored.checks, ...asked, ...sound, ...(await ground.fallen())] };
}

const majorOf = (versionNum: number) => Math.floor(versionNum / 10_000);

/** A pg_restore that may not read what others made says nothing of it. */
function ofTools(error: unknown): never {
  if (!(error instanceof HoldfastError) || error.type !== 'DumpRefused') throw error;
  throw new HoldfastError('ToolTooOld', error.message, error.hint, { cause: error });
}

const damaged = ({ backup }: DrilledBackup, reason: string) =>
  new HoldfastError(
    'ObjectDamaged',
    `the manifest of backup ${backup} can't be read: ${reason}`,
    'take another backup, and look at the repository',
  );
