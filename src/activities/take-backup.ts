import { backupId, joinKey, manifestSuffix } from '../domain/ids.ts';
import type { Manifest } from '../domain/manifest.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { withSession, type Session } from '../postgres/connection.ts';
import { findTools } from '../postgres/tools.ts';
import type { Repository, Staged, StageOwner } from '../storage/repository.ts';
import { compressorFor } from '../streams/compress.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { stageList } from './staged-list.ts';
import { takeArchives } from './take-archives.ts';
import { takeWholeServer } from './take-whole-server.ts';
import type { Order, Taking } from './taking.ts';
import type { Working } from './working.ts';

export interface TakeInput extends TakeTurn {
  readonly spec: BackupSpec;
  readonly run: RunIdentity;
}

export interface TakeTurn {
  /** When the run started: the backup's name comes from it, whatever the attempt. */
  readonly startedAt: string;
  /** Where to begin looking for a free name: 1 for the name itself, 2 for `-2`. */
  readonly turn: number;
  /** A later attempt has a greater one, whatever its turn. */
  readonly attempt: number;
}

/** A backup whose bytes are stored, whole, and which nobody sees yet. */
export interface TakenBackup {
  readonly id: string;
  /** Its only object; absent where it has several. */
  readonly object?: Staged;
  /** What names its objects, staged too: a list of thousands is nothing for a workflow's history. */
  readonly list?: Staged;
  readonly manifest: Staged;
  readonly status: Manifest['status'];
  readonly bytes: number;
  /** How many were dumped. */
  readonly databases: number;
  /** The first twenty. */
  readonly failures: readonly { readonly database: string; readonly reason: string }[];
}

/** Dumps into staged objects. A failed or killed attempt leaves nothing that a later one, or a sweep, doesn't remove. */
export async function takeBackup(deps: Dependencies, input: TakeInput, work: Working): Promise<TakenBackup> {
  const { spec, run, attempt } = input;
  const { signal } = work;
  const repository = deps.openRepository(spec.repository);
  const { warnings } = await repository.check();
  await sweepEarlier(repository, run.short, attempt);
  const server = await serverOf(deps, spec.source);
  const { versionNum, bytes } = await withSession(server, { signal }, async (session) => ({
    versionNum: session.versionNum,
    bytes: await databaseBytes(session),
  }));
  const tools = await findTools(versionNum, deps.toolPlaces(await deps.config()));
  const id = await freeName(repository, spec, input);
  const owner = { run: run.short, attempt };
  const sessionName = (of: number) => `holdfast backup ${run.short} ${String(of)}`;
  const order: Order = {
    spec,
    repository,
    owner,
    server,
    tools,
    expectedBytes: bytes,
    compressor: compressorFor(deps.compressors, spec.compression),
    keyOf: (suffix) => joinKey(spec.path, `${id}.${suffix}`),
    scratch: deps.scratch,
    applicationName: sessionName(attempt),
    earlierNames: Array.from({ length: attempt - 1 }, (_, index) => sessionName(index + 1)),
  };
  try {
    await deps.failpoint('take:begin');
    const startedAt = new Date().toISOString();
    const taking = await (spec.method === 'pg_dump' ? takeArchives : takeWholeServer)(order, work);
    await deps.failpoint('take:staged');
    const times = { startedAt, finishedAt: new Date().toISOString() };
    const manifest = manifestOf(
      deps.version,
      input,
      id,
      { ...taking, warnings: [...warnings, ...taking.warnings] },
      times,
    );
    return await stageManifest(order, id, manifest, taking, signal);
  } catch (error) {
    await repository.sweep(owner);
    throw error;
  }
}

/** What the databases take on the server: a dump is smaller, as a rule. */
async function databaseBytes(session: Session): Promise<number> {
  const [row] = await session.query<{ readonly bytes: string }>(
    'SELECT coalesce(sum(pg_database_size(oid)), 0)::text AS bytes FROM pg_database WHERE datallowconn',
  );
  return Number(row?.bytes ?? 0);
}

function manifestOf(
  version: string,
  { spec, run }: TakeInput,
  id: string,
  taking: Taking,
  times: Pick<Manifest, 'startedAt' | 'finishedAt'>,
): Manifest {
  return {
    version: 1,
    id,
    installation: spec.installation,
    cluster: spec.source.cluster,
    policy: spec.policy,
    method: spec.method,
    status: taking.status,
    ...times,
    run: { workflowId: run.workflowId, firstExecutionRunId: run.firstExecutionRunId },
    server: taking.server,
    tools: { holdfast: version, ...taking.tools },
    objects: taking.objects.map(({ key, bytes, sha256 }) => ({ key, bytes, sha256 })),
    parts: [...taking.parts],
    databases: [...taking.databases],
    roles: [...taking.roles],
    tablespaces: [...taking.tablespaces],
    warnings: [...taking.warnings],
    signature: null,
  };
}

async function stageManifest(
  { repository, spec, owner, keyOf }: Order,
  id: string,
  manifest: Manifest,
  { objects, databases, status }: Taking,
  signal: AbortSignal,
): Promise<TakenBackup> {
  const [object, ...others] = objects;
  const body = new TextEncoder().encode(`${JSON.stringify(manifest)}\n`);
  const failures = databases.filter((database) => database.status === 'failed');
  return {
    id,
    ...(object !== undefined && others.length === 0
      ? { object }
      : { list: await stageList(repository, keyOf('staged.json'), owner, objects, signal) }),
    manifest: await repository.stageSmall(manifestKeyOf(spec, id), owner, body, signal),
    status,
    bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
    databases: databases.filter((database) => database.status === 'dumped').length,
    failures: failures.slice(0, 20).map(({ name, reason }) => ({ database: name, reason: reason ?? '' })),
  };
}

const manifestKeyOf = (spec: BackupSpec, id: string) => joinKey(spec.path, `${id}${manifestSuffix}`);

/** Never a later attempt's: this one may have been frozen for so long that it was given up. */
export async function sweepEarlier(repository: Repository, run: string, attempt: number): Promise<void> {
  const earlier = new Map<number, StageOwner>();
  for await (const staged of repository.listStaged()) {
    if (staged.run === run && staged.attempt < attempt) earlier.set(staged.attempt, { run, attempt: staged.attempt });
  }
  for (const owner of earlier.values()) await repository.sweep(owner);
}

/** The first name from `turn` on under which nothing lies: foreign files stay untouched. */
async function freeName(repository: Repository, spec: BackupSpec, { startedAt, turn }: TakeInput): Promise<string> {
  for (let next = turn; ; next += 1) {
    const id = backupId(spec.prefix, new Date(startedAt), next);
    if (await isEmpty(repository, joinKey(spec.path, `${id}.`))) return id;
  }
}

/** Whether nothing lies under keys that begin so. */
export async function isEmpty(repository: Repository, prefix: string): Promise<boolean> {
  const first = await repository.list(prefix)[Symbol.asyncIterator]().next();
  return first.done === true;
}
