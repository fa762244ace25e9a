import type { CopyReport } from '../domain/plan.ts';
import { clusterCopyReport } from '../domain/restore-report.ts';
import { assertSameTarget } from '../domain/specs.ts';
import { withSession } from '../postgres/connection.ts';
import {
  abandonCluster as dropHalfMade,
  finishCluster as removeMarks,
  restoreCluster as restoreWhole,
} from '../postgres/restore/cluster.ts';
import { findTools } from '../postgres/tools.ts';
import { verified } from '../streams/verified.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { plannedManifest } from './plan-restore.ts';
import type { CopyInput } from './restore-copy.ts';
import type { Working } from './working.ts';

/** How many tables are analyzed, or counted, at once. */
const sessions = 2;

/** Restores a whole backup into an empty cluster; an earlier attempt of this run is gone on with. */
export async function restoreCluster(
  deps: Dependencies,
  { spec, planned, run }: CopyInput,
  { signal, report }: Working,
): Promise<CopyReport> {
  const config = await deps.config();
  assertSameTarget(config, spec.target);
  const manifest = await plannedManifest(deps, planned);
  const server = await serverOf(deps, spec.target);
  const repository = deps.openRepository(planned.repository);
  const versionNum = await withSession(server, { signal }, (session) => Promise.resolve(session.versionNum));
  const found = await restoreWhole({
    server,
    tools: await findTools(versionNum, deps.toolPlaces(config)),
    compressors: deps.compressors,
    manifest,
    run: run.short,
    read: ({ object, offset, length, sha256, name, database }) =>
      verified(repository.read(object, { offset, length }, signal), {
        name: `${object}, ${name}${database === undefined ? '' : ` of '${database}'`}`,
        bytes: length,
        sha256,
      }),
    sessions,
    signal,
    onProgress: ({ phase, database, bytes, totalBytes, databasesDone, databasesTotal }) => {
      report({
        doing: database === null ? phase : `${phase} ${database}`,
        bytes,
        totalBytes,
        done: databasesDone,
        total: databasesTotal,
      });
    },
    failpoint: (name) => deps.failpoint(`cluster:${name}`),
  });
  return clusterCopyReport(found);
}

/** Takes away the marks by which a retry would have known what is done. */
export async function finishCluster(deps: Dependencies, { spec, run }: CopyInput): Promise<void> {
  await removeMarks(await serverOf(deps, spec.target), { run: run.short });
}

/** Drops what a run that is given up has half made; what it has restored already stays. */
export async function abandonCluster(deps: Dependencies, { spec, run }: CopyInput): Promise<void> {
  await dropHalfMade(await serverOf(deps, spec.target), { run: run.short });
}
