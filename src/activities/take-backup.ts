import { backupId, joinKey, manifestSuffix } from '../domain/ids.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { writeClusterDump } from '../postgres/dump/write.ts';
import { findTools } from '../postgres/tools.ts';
import { withSession } from '../postgres/connection.ts';
import type { Repository, Staged } from '../storage/repository.ts';
import { compressorFor } from '../streams/compress.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import type { Working } from './working.ts';

export interface TakeInput {
  readonly spec: BackupSpec;
  readonly run: RunIdentity;
  /** When the run started: the backup's name comes from it, whatever the attempt. */
  readonly startedAt: string;
  /** Where to begin looking for a free name: 1 for the name itself, 2 for `-2`. */
  readonly turn: number;
  /** A later attempt has a greater one, whatever its turn. */
  readonly attempt: number;
}

/** A backup whose bytes are on disk, whole, and which nobody sees yet. */
export interface TakenBackup {
  readonly id: string;
  readonly object: Staged;
  readonly manifest: Staged;
  readonly status: Manifest['status'];
  readonly bytes: number;
  /** How many were dumped. */
  readonly databases: number;
  /** The first twenty. */
  readonly failures: readonly { readonly database: string; readonly reason: string }[];
}

/** Dumps into staged objects. A failed or killed attempt leaves nothing that a later one, or a sweep, doesn't remove. */
export async function takeBackup(
  deps: Dependencies,
  input: TakeInput,
  { signal, report }: Working,
): Promise<TakenBackup> {
  const { spec, run, attempt } = input;
  const repository = deps.openRepository(spec.repository);
  await repository.check();
  await sweepEarlier(repository, run.short, attempt);
  const server = await serverOf(deps, spec.source);
  const versionNum = await withSession(server, { signal }, (session) => Promise.resolve(session.versionNum));
  const tools = await findTools(versionNum, deps.toolPlaces(await deps.config()));
  const compressor = compressorFor(deps.compressors, spec.compression);
  const { id, key } = await freeName(repository, spec, input);
  const owner = { run: run.short, attempt };
  const sessionName = (of: number) => `holdfast backup ${run.short} ${String(of)}`;

  const writer = await repository.stage(key, owner, signal);
  try {
    await deps.failpoint('take:begin');
    const startedAt = new Date().toISOString();
    const dump = await writeClusterDump({
      server,
      tools,
      compressor,
      exclude: spec.exclude,
      lockTimeoutMs: spec.lockTimeoutMs,
      countRows: spec.countRows,
      sink: writer,
      signal,
      applicationName: sessionName(attempt),
      earlierNames: Array.from({ length: attempt - 1 }, (_, index) => sessionName(index + 1)),
      onProgress: ({ phase, database, databasesDone, databasesTotal }) => {
        report({
          doing: database === null ? phase : `${phase} of ${database}`,
          bytes: writer.offset,
          done: databasesDone,
          total: databasesTotal,
        });
      },
    });
    const object = await writer.finish();
    await deps.failpoint('take:staged');
    const manifest: Manifest = {
      version: 1,
      id,
      installation: spec.installation,
      cluster: spec.source.cluster,
      policy: spec.policy,
      method: 'pg_dumpall',
      status: dump.status,
      startedAt,
      finishedAt: new Date().toISOString(),
      run: { workflowId: run.workflowId, firstExecutionRunId: run.firstExecutionRunId },
      server: dump.server,
      tools: { holdfast: deps.version, ...dump.tools },
      objects: [{ key, bytes: object.bytes, sha256: object.sha256 }],
      parts: dump.parts.map((part) => ({ ...part, object: key, plain: null, encryption: null })),
      databases: [...dump.databases],
      roles: [...dump.roles],
      tablespaces: [...dump.tablespaces],
      warnings: [...dump.warnings],
      signature: null,
    };
    const failures = dump.databases.filter(({ status }) => status === 'failed');
    return {
      id,
      object,
      manifest: await stageText(repository, manifestKeyOf(spec, id), owner, `${JSON.stringify(manifest)}\n`, signal),
      status: dump.status,
      bytes: object.bytes,
      databases: dump.databases.filter(({ status }) => status === 'dumped').length,
      failures: failures.slice(0, 20).map(({ name, reason }) => ({ database: name, reason: reason ?? '' })),
    };
  } catch (error) {
    await writer.abort();
    await repository.sweep(owner);
    throw error;
  }
}

const manifestKeyOf = (spec: BackupSpec, id: string) => joinKey(spec.path, `${id}${manifestSuffix}`);

/** Never a later attempt's: this one may have been frozen for so long that it was given up. */
async function sweepEarlier(repository: Repository, run: string, attempt: number): Promise<void> {
  for await (const staged of repository.listStaged()) {
    if (staged.run === run && staged.attempt < attempt) await repository.sweep({ run, attempt: staged.attempt });
  }
}

/** The first name from `turn` on that neither an object nor a manifest has: foreign files stay untouched. */
async function freeName(
  repository: Repository,
  spec: BackupSpec,
  { startedAt, turn }: TakeInput,
): Promise<{ id: string; key: string }> {
  const suffix = spec.compression === 'gzip' ? '.sql.gz' : '.sql.zst';
  for (let next = turn; ; next += 1) {
    const id = backupId(spec.prefix, new Date(startedAt), next);
    const key = joinKey(spec.path, `${id}${suffix}`);
    const taken = (await repository.size(key)) ?? (await repository.size(manifestKeyOf(spec, id)));
    if (taken === undefined) return { id, key };
  }
}

async function stageText(
  repository: Repository,
  key: string,
  owner: { run: string; attempt: number },
  text: string,
  signal: AbortSignal,
): Promise<Staged> {
  const writer = await repository.stage(key, owner, signal);
  try {
    await writer.write(new TextEncoder().encode(text));
    return await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
}
