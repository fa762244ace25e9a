/** Base backups and their restore beside pgBackRest's, on a server as in earnest. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort } from '../parts/free-port.ts';
import type { S3Server } from '../parts/s3-server.ts';
import { startS3 } from '../parts/s3-server.ts';
import type { PostgresMajor } from '../parts/postgres-server.ts';
import { planRecovery } from '../src/activities/plan-recovery.ts';
import { fetchRecovery, replayRecovery, throwAwayRecovery } from '../src/activities/recover-copy.ts';
import { commitBackup } from '../src/activities/site-backup.ts';
import type { TakenBackup } from '../src/activities/take-backup.ts';
import { takeBase } from '../src/activities/take-base.ts';
import { baseSpec, recoverSpec } from '../src/domain/physical-specs.ts';
import { parseRecoverArgument } from '../src/domain/recover-argument.ts';
import { identity } from './logical.ts';
import {
  asServerUser,
  asServerUserWith,
  needed,
  openPgBackRest,
  placeFor,
  timed,
  type PgBackRest,
} from './pgbackrest.ts';
import { close, fill, inEarnest, openStage, seconds, settle, type Stage } from './stage.ts';
import { figure, type Figure } from './table.ts';

/** From nothing to a manifest. */
export async function backUpBase({ deps, config, work }: Stage, turn: number, policy = 'base'): Promise<TakenBackup> {
  const spec = baseSpec(config, policy);
  const identified = identity(turn);
  const startedAt = new Date().toISOString();
  const taken = await takeBase(deps, { spec, run: identified, startedAt, turn: 1, attempt: 1 }, work);
  await commitBackup(deps, { spec, run: identified, taken }, work);
  return taken;
}

/** 1.8 GB of plain dump in two databases, times `scale`, everything on the disk and in the page cache. */
export async function openGround(major: PostgresMajor, scale: number, more: Ground = {}): Promise<Stage> {
  const stage = await openStage(major, more.s3, { ...inEarnest, settings: { ...more.settings } });
  const { server } = stage;
  await fill(server, 'small', 164 * scale);
  await fill(server, 'big', 1640 * scale);
  await server.psql('postgres', 'CHECKPOINT');
  console.log(`  ${await megabytesOf(stage)} MB of data directory`);
  return stage;
}

interface Ground {
  readonly settings?: Readonly<Record<string, string>>;
  readonly s3?: S3Server;
}

const megabytesOf = ({ server }: Stage) =>
  server.psql('postgres', 'SELECT round(sum(pg_database_size(oid)) / 1e6) FROM pg_database');

/** The log of filling isn't archived: it is nobody's work here. */
export async function besides({ server }: Stage): Promise<PgBackRest> {
  await server.psql('postgres', "ALTER SYSTEM SET archive_mode = 'on'");
  await server.restart();
  const theirs = await openPgBackRest(server);
  await theirs.archive();
  return theirs;
}

/** A full base backup to a directory, durable and committed, on both sides. */
export async function baseBackup(repeat: number, scale: number): Promise<Figure[]> {
  const stage = await openGround(15, scale);
  let theirs: PgBackRest | undefined;
  try {
    theirs = await besides(stage);
    await backUpBase(stage, 1); // warms the caches for both
    const ours: number[] = [];
    const other: number[] = [];
    for (let turn = 2; turn <= repeat + 1; turn += 1) {
      await settle();
      ours.push(await seconds(() => backUpBase(stage, turn)));
      await settle();
      other.push(await timed(theirs, 'backup', '--type=full'));
    }
    return [figure('full base backup, against pgbackrest backup --type=full', 's', 0.5, ours, other)];
  } finally {
    await theirs?.stop();
    await close(stage);
  }
}

/** From a backup to a server that answers, consistent and everything on the disk; both have the log in their repository. */
export async function baseRestore(repeat: number, scale: number): Promise<Figure[]> {
  const stage = await openGround(15, scale);
  let theirs: PgBackRest | undefined;
  try {
    theirs = await besides(stage);
    await backUpBase(stage, 1);
    await theirs.run('backup', '--type=full');
    const ours: number[] = [];
    const other: number[] = [];
    for (let turn = 2; turn <= repeat + 1; turn += 1) {
      await settle();
      ours.push(await restoreOurs(stage, turn));
      await settle();
      other.push(await restoreTheirs(stage, theirs));
    }
    return [figure('base backup to an answering server, against pgbackrest restore', 's', 1, ours, other)];
  } finally {
    await theirs?.stop();
    await close(stage);
  }
}

/** The plan was made before: a human may look at it in between. */
async function restoreOurs({ deps, config, work, server }: Stage, turn: number): Promise<number> {
  const argument = parseRecoverArgument({ cluster: 'bench', target: 'immediate' });
  const spec = recoverSpec(config, argument);
  const identified = identity(turn);
  const planned = await planRecovery(deps, { spec, run: identified }, work);
  const input = { spec, planned, run: identified };
  let fetched = 0;
  const whole = await seconds(async () => {
    fetched = await seconds(() => fetchRecovery(deps, input, work));
    const { reached } = await replayRecovery(deps, input, work);
    await answers(server.binDir, reached.socketDirectory, reached.port);
  });
  console.log(`  ours: fetched in ${fetched.toFixed(2)} s, answering after ${(whole - fetched).toFixed(2)} s more`);
  await throwAwayRecovery(deps, input, work);
  return whole;
}

async function restoreTheirs({ server }: Stage, theirs: PgBackRest): Promise<number> {
  const place = await placeFor(theirs.directory, 'copy');
  const data = join(place, 'data');
  const port = await freePort();
  const control = join(server.binDir, 'pg_ctl');
  let restored = 0;
  const whole = await seconds(async () => {
    restored = await timed(theirs, 'restore', '--type=immediate', '--target-action=pause', `--pg1-path=${data}`);
    const options = `-c port=${String(port)} -c unix_socket_directories=${place} -c archive_mode=off`;
    await asServerUser(control, '-D', data, '-l', join(place, 'log'), '-o', options, '-w', 'start');
    await answers(server.binDir, place, port);
  });
  console.log(
    `  theirs: restored in ${restored.toFixed(2)} s, answering after ${(whole - restored).toFixed(2)} s more`,
  );
  await asServerUser(control, '-D', data, '-m', 'immediate', '-w', 'stop');
  await rm(place, { recursive: true, force: true });
  return whole;
}

/** A count of a table that was there when the backup was taken. */
async function answers(binDir: string, host: string, port: number): Promise<void> {
  const where = ['-h', host, '-p', String(port), '-U', 'postgres', '-X', '-At'];
  await asServerUser(join(binDir, 'psql'), ...where, '-c', 'SELECT id FROM events WHERE id = 1', 'small');
}

/** To the same bucket; theirs without a compression, and with the only one that it has for tars here. */
export async function baseToS3(repeat: number, scale: number): Promise<Figure[]> {
  const program = needed('barman-cloud-backup');
  const store = await startS3();
  const stage = await openGround(15, scale, { s3: store });
  let theirs: PgBackRest | undefined;
  try {
    // It won't begin without an archive_command; the log that it needs is archived by somebody else.
    theirs = await besides(stage);
    await backUpBase(stage, 1, 'base-offsite');
    const ours: number[] = [];
    const gzip: number[] = [];
    const plain: number[] = [];
    for (let turn = 2; turn <= repeat + 1; turn += 1) {
      await settle();
      ours.push(await seconds(() => backUpBase(stage, turn, 'base-offsite')));
      await settle();
      gzip.push(await seconds(() => barman(program, stage, store, '--gzip')));
      await settle();
      plain.push(await seconds(() => barman(program, stage, store)));
    }
    return [
      figure('full base backup to S3, against barman-cloud-backup --gzip', 's', 1, ours, gzip),
      figure('full base backup to S3, against barman-cloud-backup, uncompressed', 's', null, ours, plain),
    ];
  } finally {
    await theirs?.stop();
    await close(stage);
    await store.stop();
  }
}

async function barman(
  program: string,
  { server }: Stage,
  { endpoint, bucket, accessKeyId, secretAccessKey, region, directory }: S3Server,
  ...options: readonly string[]
): Promise<void> {
  const credentials = {
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_DEFAULT_REGION: region,
  };
  const to = ['--cloud-provider', 'aws-s3', '--endpoint-url', endpoint, '--immediate-checkpoint', '--jobs', '2'];
  const from = ['--host', server.socketDir, '--port', String(server.port), '--user', 'postgres'];
  await asServerUserWith(credentials, program, ...to, ...from, ...options, `s3://${bucket}/barman`, 'bench');
  await rm(join(directory, 'barman'), { recursive: true, force: true });
}
