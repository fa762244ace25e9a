/** The log's way into an archive, beside pgBackRest's asynchronous archive-push. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../parts/postgres-server.ts';
import { walStore } from '../src/activities/archive-wal.ts';
import { repositorySpec } from '../src/domain/specs.ts';
import { formatLsn, parseLsn, type Lsn } from '../src/domain/wal.ts';
import { receiveWal, type ReceiveResult } from '../src/postgres/wal/receive.ts';
import { besides } from './base.ts';
import { identity } from './logical.ts';
import type { PgBackRest } from './pgbackrest.ts';
import { close, fill, inEarnest, openStage, seconds, settle, type Stage } from './stage.ts';
import { figure, type Figure } from './table.ts';

const slot = 'holdfast_bench';
const pollMs = 50;

/** Catching up on the log that filling a database has left, and keeping pace with another one that is filled. */
export async function walArchive(repeat: number, scale: number): Promise<Figure[]> {
  const stage = await openStage(15, undefined, inEarnest);
  let theirs: PgBackRest | undefined;
  try {
    theirs = await besides(stage);
    await theirs.hold();
    const caughtUp = { ours: [] as number[], theirs: [] as number[] };
    for (let turn = 1; turn <= repeat; turn += 1) await catchUp(stage, theirs, 1000 * scale, caughtUp);
    const kept = { ours: [] as number[], theirs: [] as number[] };
    for (let turn = 1; turn <= repeat; turn += 1) await keepPace(stage, theirs, 600 * scale, kept);
    return [
      figure('WAL caught up on, against pgbackrest archive-push (async)', 's', 1, caughtUp.ours, caughtUp.theirs),
      figure('WAL archived while a database is filled, against the same', 's', 1, kept.ours, kept.theirs),
    ];
  } finally {
    await theirs?.stop();
    await close(stage);
  }
}

interface Times {
  readonly ours: number[];
  readonly theirs: number[];
}

/** The same segments, kept by a slot for us and unarchived for them. */
async function catchUp(stage: Stage, theirs: PgBackRest, megabytes: number, times: Times): Promise<void> {
  const { server } = stage;
  await server.psql('postgres', `SELECT pg_create_physical_replication_slot('${slot}', true)`);
  await fill(server, 'filled', megabytes);
  const end = await switchWal(server);
  await settle();
  const receiver = receive(stage);
  times.ours.push(await seconds(() => receiver.until(end)));
  await receiver.stop();
  await forget(server);
  await settle();
  const waiting = await unarchived(server);
  const begin = performance.now();
  await theirs.archive();
  while ((await unarchived(server)) > 0) await sleep(pollMs);
  times.theirs.push((performance.now() - begin) / 1000);
  await theirs.hold();
  await server.psql('postgres', 'DROP DATABASE filled');
  console.log(`  ${String(waiting)} segments: ours ${last(times.ours)} s, theirs ${last(times.theirs)} s`);
}

/** From the first row until the last segment of the filling is archived, each with nothing else to do. */
async function keepPace(stage: Stage, theirs: PgBackRest, megabytes: number, times: Times): Promise<void> {
  const { server } = stage;
  await settle();
  await server.psql('postgres', `SELECT pg_create_physical_replication_slot('${slot}', true)`);
  const receiver = receive(stage);
  times.ours.push(
    await seconds(async () => {
      await fill(server, 'filled', megabytes);
      await receiver.until(await switchWal(server));
    }),
  );
  await receiver.stop();
  await forget(server);
  await server.psql('postgres', 'DROP DATABASE filled');
  // What has gathered meanwhile isn't theirs to do here.
  await theirs.archive();
  while ((await unarchived(server)) > 0) await sleep(pollMs);
  await settle();
  times.theirs.push(
    await seconds(async () => {
      await fill(server, 'filled', megabytes);
      await switchWal(server);
      while ((await unarchived(server)) > 0) await sleep(pollMs);
    }),
  );
  await theirs.hold();
  await server.psql('postgres', 'DROP DATABASE filled');
  console.log(`  while writing: ours ${last(times.ours)} s, theirs ${last(times.theirs)} s`);
}

const last = (times: readonly number[]) => (times.at(-1) ?? 0).toFixed(2);

/** Ends the segment that is being written; where the next begins. */
async function switchWal(server: PostgresServer): Promise<Lsn> {
  const end = parseLsn(await server.psql('postgres', 'CHECKPOINT; SELECT pg_switch_wal()'));
  const segmentBytes = 16n * 1024n * 1024n;
  return ((end + segmentBytes - 1n) / segmentBytes) * segmentBytes;
}

/** Segments that wait for archive_command. */
async function unarchived({ dataDir }: PostgresServer): Promise<number> {
  const names = await readdir(join(dataDir, 'pg_wal/archive_status'));
  return names.filter((name) => name.endsWith('.ready')).length;
}

const forget = (server: PostgresServer) => server.psql('postgres', `SELECT pg_drop_replication_slot('${slot}')`);

/** As the activity streamWal does it, with reports in quick succession. */
function receive({ deps, config, server, work }: Stage): {
  until(end: Lsn): Promise<void>;
  stop(): Promise<ReceiveResult>;
} {
  const stop = new AbortController();
  let archived: Lsn = 0n;
  const { host, port, user, password } = server;
  const running = receiveWal({
    server: { host, port, user, password, database: 'postgres', sslmode: 'disable' },
    slot,
    sink: (log) => walStore(deps, { repository: repositorySpec(config, 'nas'), cluster: 'bench' }, identity(1), log),
    signal: AbortSignal.any([work.signal, stop.signal]),
    reportMs: pollMs,
    onReport: ({ archivedLsn }) => {
      archived = archivedLsn ?? 0n;
    },
  });
  const failed = running.then(() => {
    throw new Error(`receiving ended at ${formatLsn(archived)}`);
  });
  failed.catch(() => undefined);
  return {
    async until(end) {
      while (archived < end) await Promise.race([sleep(pollMs), failed]);
    },
    stop() {
      stop.abort();
      return running;
    },
  };
}
