import { baseManifestKey, baseManifestSchema, physicalDirectory, type BaseBackup } from '../domain/base-manifest.ts';
import { chainOf } from '../domain/base-state.ts';
import { HoldfastError } from '../domain/errors.ts';
import { backupId } from '../domain/ids.ts';
import type { BaseSpec } from '../domain/physical-specs.ts';
import type { RunIdentity } from '../domain/run.ts';
import { withSession } from '../postgres/connection.ts';
import {
  IncrementalImpossible,
  takeBaseBackup,
  type BaseBackupTaken,
  type ParentBackup,
} from '../postgres/physical/base-backup.ts';
import type { Server } from '../postgres/server.ts';
import { readBases } from '../storage/physical-catalog.ts';
import type { Repository, Staged } from '../storage/repository.ts';
import { unpackedFrom } from '../streams/unpack.ts';
import { verified } from '../streams/verified.ts';
import { serverOf, type Dependencies } from './dependencies.ts';
import { stageList } from './staged-list.ts';
import { isEmpty, sweepEarlier, type TakenBackup, type TakeTurn } from './take-backup.ts';
import type { Working } from './working.ts';

export interface TakeBaseInput extends TakeTurn {
  readonly spec: BaseSpec;
  readonly run: RunIdentity;
}

/** What one attempt writes with. */
interface Order extends TakeBaseInput {
  readonly repository: Repository;
  readonly server: Server;
  readonly systemIdentifier: string;
  readonly id: string;
  readonly work: Working;
}

/** What must be so before a base backup is worth beginning. Answers what the store can't promise. */
export async function preflightBase(
  deps: Dependencies,
  { spec }: { readonly spec: BaseSpec },
): Promise<{ readonly warnings: readonly string[] }> {
  const { warnings } = await deps.openRepository(spec.repository).check();
  await withSession(await takenFrom(deps, spec), {}, ({ versionNum }) => {
    if (versionNum >= 150_000) return Promise.resolve();
    throw new HoldfastError(
      'PostgresRefused',
      `cluster ${spec.source.cluster} is older than PostgreSQL 15, whose base backups aren't read`,
      'use method pg_dumpall or pg_dump, or upgrade: PostgreSQL 14 is no longer maintained',
    );
  });
  return { warnings };
}

/** Writes a base backup into staged objects. A failed or killed attempt leaves nothing that a later one doesn't remove. */
export async function takeBase(deps: Dependencies, input: TakeBaseInput, work: Working): Promise<TakenBackup> {
  const { spec, run, attempt } = input;
  const repository = deps.openRepository(spec.repository);
  const { warnings } = await repository.check();
  await sweepEarlier(repository, run.short, attempt);
  const server = await takenFrom(deps, spec);
  const systemIdentifier = await readSystemIdentifier(server, work.signal);
  const id = await freeName(repository, input, systemIdentifier);
  const order: Order = { ...input, repository, server, systemIdentifier, id, work };
  const owner = { run: run.short, attempt };
  try {
    await deps.failpoint('take:begin');
    const startedAt = new Date().toISOString();
    const parent = await parentOf(order);
    const { taken, notes } = await copy(deps, order, parent);
    await deps.failpoint('take:staged');
    const objects = stagedOf(taken);
    const manifest = manifestOf(deps, order, taken, {
      parent: taken.type === 'incremental' ? (parent?.manifest.id ?? null) : null,
      startedAt,
      warnings: [...warnings, ...notes, ...taken.warnings],
    });
    const key = baseManifestKey(spec.source.cluster, systemIdentifier, id);
    const body = new TextEncoder().encode(`${JSON.stringify(manifest)}\n`);
    return {
      id,
      list: await stageList(repository, keyOf(order, 'staged.json'), owner, objects, work.signal),
      manifest: await repository.stageSmall(key, owner, body, work.signal),
      status: 'complete',
      bytes: objects.reduce((sum, { bytes }) => sum + bytes, 0),
      databases: manifest.databases.length,
      failures: [],
    };
  } catch (error) {
    await repository.sweep(owner);
    throw error;
  }
}

/** As an increment of its parent, or whole where that is not possible: then a note says why. */
async function copy(
  deps: Dependencies,
  order: Order,
  parent: BaseBackup | undefined,
): Promise<{ readonly taken: BaseBackupTaken<Staged>; readonly notes: readonly string[] }> {
  const { spec, run, attempt, repository, server, systemIdentifier, work } = order;
  const sessionName = (of: number) => `holdfast base ${run.short} ${String(of)}`;
  const request = {
    server,
    applicationName: sessionName(attempt),
    earlierNames: Array.from({ length: attempt - 1 }, (_, index) => sessionName(index + 1)),
    signal: work.signal,
    label: `holdfast ${order.id}`,
    checkpoint: spec.checkpoint,
    wal: spec.withWal,
    compression: {
      by: 'server',
      workers: spec.compressionWorkers,
      otherwise: deps.compressors.zstd ?? deps.compressors.gzip,
    } as const,
    expectedSystemIdentifier: systemIdentifier,
    open: async (name: string, { expectedBytes }: { readonly expectedBytes: number }) => {
      await deps.failpoint(`take:${name}`);
      return repository.stage(keyOf(order, name), { run: run.short, attempt }, work.signal, { expectedBytes });
    },
    onProgress: ({ phase, bytes, total }: { phase: string; bytes: number; total: number }) => {
      const doing = phase === 'checkpoint' ? 'waiting for a checkpoint' : `copying ${order.id}`;
      work.report({ doing, bytes, totalBytes: total });
    },
  };
  if (parent === undefined) return { taken: await takeBaseBackup(request), notes: [] };
  try {
    return { taken: await takeBaseBackup({ ...request, parent: asParent(deps, order, parent) }), notes: [] };
  } catch (error) {
    if (!(error instanceof IncrementalImpossible)) throw error;
    const notes = [`it is full, though an increment was due: ${error.message} (${error.hint})`];
    await repository.sweep({ run: run.short, attempt });
    return { taken: await takeBaseBackup(request), notes };
  }
}

function asParent(deps: Dependencies, { repository, work }: Order, { manifest }: BaseBackup): ParentBackup {
  const { key, bytes, sha256, compression } = manifest.backupManifest;
  return {
    id: manifest.id,
    systemIdentifier: manifest.server.systemIdentifier,
    stopTimeline: manifest.stopTimeline,
    readManifest: () => {
      const stored = verified(repository.read(key, undefined, work.signal), { name: key, bytes, sha256 });
      // Servers send it as it is; lz4 is for archives only.
      return compression === 'lz4' ? stored : unpackedFrom(stored, compression, deps.compressors, work.signal);
    },
  };
}

/** The policy's newest good backup, if fewer backups build on its full one than may; undefined: a full one is due. */
async function parentOf({ spec, repository, systemIdentifier }: Order): Promise<BaseBackup | undefined> {
  if (spec.fullEvery === 1) return undefined;
  const { bases } = await readBases(repository, spec.source.cluster);
  const own = bases.filter(
    ({ manifest }) =>
      manifest.installation === spec.installation &&
      manifest.policy === spec.policy &&
      manifest.server.systemIdentifier === systemIdentifier,
  );
  const newest = own.find(({ verification }) => verification !== 'failed');
  if (newest === undefined) return undefined;
  const chain = chainOf(own, newest);
  return chain.whole && chain.chain.length < spec.fullEvery ? newest : undefined;
}

const stagedOf = ({ archives, backupManifest, configuration }: BaseBackupTaken<Staged>): Staged[] => [
  ...archives.map(({ stored }) => stored),
  backupManifest.stored,
  ...(configuration === null ? [] : [configuration.stored]),
];

const objectOf = ({ key, bytes, sha256 }: Staged) => ({ key, bytes, sha256 });

function manifestOf(
  deps: Dependencies,
  { spec, run, id }: Order,
  taken: BaseBackupTaken<Staged>,
  more: { readonly parent: string | null; readonly startedAt: string; readonly warnings: readonly string[] },
) {
  const { configuration, backupManifest } = taken;
  return baseManifestSchema.parse({
    version: 1,
    id,
    installation: spec.installation,
    cluster: spec.source.cluster,
    policy: spec.policy,
    method: 'base',
    status: 'complete',
    startedAt: more.startedAt,
    finishedAt: new Date().toISOString(),
    run: { workflowId: run.workflowId, firstExecutionRunId: run.firstExecutionRunId },
    server: taken.server,
    type: taken.type,
    parent: more.parent,
    startLsn: taken.startLsn,
    startTimeline: taken.startTimeline,
    stopLsn: taken.stopLsn,
    stopTimeline: taken.stopTimeline,
    serverStartedAt: taken.serverStartedAt,
    serverFinishedAt: taken.serverFinishedAt,
    nextXid: taken.nextXid,
    includesWal: taken.walIncluded,
    archives: taken.archives.map(({ tablespace, compression, plainBytes, stored }) => ({
      ...objectOf(stored),
      tablespace,
      compression,
      plainBytes,
    })),
    backupManifest: { ...objectOf(backupManifest.stored), compression: backupManifest.compression },
    configuration:
      configuration === null
        ? null
        : { ...objectOf(configuration.stored), compression: configuration.compression, files: configuration.files },
    settings: taken.settings,
    objects: stagedOf(taken).map(objectOf),
    databases: taken.databases,
    extensions: taken.extensions,
    tablespaces: taken.tablespaces,
    tools: { holdfast: deps.version, ...taken.tools },
    warnings: more.warnings,
    signature: null,
  });
}

const keyOf = ({ spec, systemIdentifier, id }: Order, name: string) =>
  `${physicalDirectory(spec.source.cluster, systemIdentifier)}/${id}/${name}`;

const takenFrom = async (deps: Dependencies, { source, standby }: BaseSpec): Promise<Server> => ({
  ...(await serverOf(deps, source)),
  ...standby,
});

async function readSystemIdentifier(server: Server, signal: AbortSignal): Promise<string> {
  const [row] = await withSession(server, { signal }, (session) =>
    session.query<{ readonly id: string }>('SELECT system_identifier::text AS id FROM pg_control_system()'),
  );
  return row?.id ?? '';
}

/** The first name from `turn` on under which nothing lies. */
async function freeName(
  repository: Repository,
  { spec, startedAt, turn }: TakeBaseInput,
  systemIdentifier: string,
): Promise<string> {
  for (let next = turn; ; next += 1) {
    const id = backupId(spec.prefix, new Date(startedAt), next);
    if (await isEmpty(repository, `${physicalDirectory(spec.source.cluster, systemIdentifier)}/${id}/`)) return id;
  }
}
