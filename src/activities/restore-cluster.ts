import type { CopyReport } from '../domain/plan.ts';
import { clusterCopyReport } from '../domain/restore-report.ts';
import { partOf, type Manifest, type Part } from '../domain/manifest.ts';
import { assertSameTarget } from '../domain/specs.ts';
import { withSession } from '../postgres/connection.ts';
import {
  abandonCluster as dropHalfMade,
  finishCluster as removeMarks,
  restoreCluster as restoreWhole,
} from '../postgres/restore/cluster.ts';
import type { Tools } from '../postgres/tools.ts';
import { localArchive } from './archive-files.ts';
import { judged, restoreJobs, restoreTools } from './content.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { plannedManifest } from './plan-restore.ts';
import type { CopyInput } from './restore-copy.ts';
import { plainPart, sourceOf, storedPart, type Source } from './source.ts';
import type { Working } from './working.ts';

/** How many tables are analyzed, or counted, at once. */
const sessions = 2;

/** Restores a whole backup into an empty cluster; an earlier attempt of this run is gone on with. */
export async function restoreCluster(
  deps: Dependencies,
  { spec, planned, run }: CopyInput,
  { signal, report }: Working,
): Promise<CopyReport> {
  assertSameTarget(await deps.config(), spec.target);
  const manifest = await plannedManifest(deps, planned);
  const server = await serverOf(deps, spec.target);
  const versionNum = await withSession(server, { signal }, (session) => Promise.resolve(session.versionNum));
  const tools = await restoreTools(deps, manifest, versionNum);
  const source = sourceOf(deps, planned, manifest, run, signal);
  const found = await restoreWhole({
    server,
    tools,
    compressors: deps.compressors,
    manifest: asRead(manifest),
    run: run.short,
    read: (part) => readPart(source, part, tools),
    archive: (part) => localArchive(source, part, manifest.objects),
    jobs: restoreJobs,
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

/** What others made is read and judged here, and so comes unpacked. */
export function asRead(manifest: Manifest): Manifest {
  if (manifest.origin === undefined) return manifest;
  const parts = manifest.parts.map((part) =>
    part.within === undefined ? part : { ...part, compression: 'none' as const },
  );
  return { ...manifest, parts };
}

export function readPart(source: Source, part: Part, tools: Tools): AsyncIterable<Uint8Array> {
  if (source.manifest.origin === undefined) return storedPart(source, part);
  // The part as the manifest has it: what is handed out is unpacked, what lies there isn't.
  const stored = partOf(source.manifest, part.name, part.database) ?? part;
  return part.name === 'content' ? judged(source, stored, tools, undefined) : plainPart(source, stored);
}

/** Takes away the marks by which a retry would have known what is done. */
export async function finishCluster(deps: Dependencies, { spec, run }: CopyInput): Promise<void> {
  await removeMarks(await serverOf(deps, spec.target), { run: run.short });
}

/** Drops what a run that is given up has half made; what it has restored already stays. */
export async function abandonCluster(deps: Dependencies, { spec, run }: CopyInput): Promise<void> {
  await dropHalfMade(await serverOf(deps, spec.target), { run: run.short });
}
