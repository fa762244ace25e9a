import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';
import type { Reached as ReachedPlace } from '../../domain/recovery-reached.ts';
import type { RecoveryTarget } from '../../domain/recovery-target.ts';
import { timelineAt } from '../../domain/timeline-path.ts';
import { parseLsn, type SegmentId } from '../../domain/wal.ts';
import { connect, type Session } from '../connection.ts';
import { readControlData } from '../instance/control-data.ts';
import { readLog, reasonIn, saidIn } from '../instance/log.ts';
import { writeLasting } from '../instance/mark.ts';
import { whomToBecome, type RunAs } from '../instance/run-as.ts';
import { allowedSettings, type Settings } from '../instance/settings.ts';
import { serverOf, settingsDigest, startInstance, type Instance, type InstanceInput } from '../instance/start.ts';
import { instanceState } from '../instance/state.ts';
import { stopInstance } from '../instance/stop.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { ArchiveEnd } from './archive-end.ts';
import { lookAt } from './look.ts';
import { isStandby, recoverySettings } from './recovery-settings.ts';
import { readState, writeState } from './recovery-state.ts';
import { pathTo, serveWal, type ServeInput } from './serve-wal.ts';
import { prepareSpool, restoreCommand, spoolAt } from './spool.ts';
import type { WalSource } from './wal-source.ts';

export interface RecoveryInput {
  readonly programs: ServerPrograms;
  /** As fetchBase left it. */
  readonly dataDirectory: string;
  /** The recovery's own, fetchBase's: for spool, log and state. */
  readonly workDirectory: string;
  readonly socketDirectory: string;
  readonly port: number;
  readonly listen?: 'socket' | 'loopback';
  readonly runAs?: RunAs | undefined;
  /** The source's settings as its base backup recorded them. */
  readonly sourceSettings: Settings;
  /** Libraries that the copy needs loaded. */
  readonly preload?: readonly string[];
  /** Settings of the copy's own, such as shared_buffers. */
  readonly settings?: Settings;
  readonly systemIdentifier: string;
  readonly segmentBytes: number;
  readonly wal: WalSource;
  /** The archive's end on the way to the target's timeline; undefined: nothing is archived. */
  readonly last: SegmentId | undefined;
  /** Its timeline is a number. */
  readonly target: RecoveryTarget;
  /** Who looks at the copy: a superuser of it, and a database that it has. */
  readonly who: { readonly user: string; readonly database: string };
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: RecoveryProgress) => void;
}

export interface RecoveryProgress {
  readonly status: 'starting' | 'replaying';
  /** Replayed up to here; null: not open for reading yet. */
  readonly lsn: string | null;
  readonly lastTransactionTime: string | null;
  /** The latest segment that was asked for. */
  readonly segment: string | null;
}

export interface Reached extends ReachedPlace {
  /** It stands still there, readable, until somebody decides. */
  readonly paused: true;
  /** PostgreSQL's own words about why it stopped there; null at the archive's end. */
  readonly words: string | null;
  readonly socketDirectory: string;
  readonly port: number;
}

/**
 * Starts a fetched base backup and recovers it to its target, where it stands paused and readable; it stays so for days
 * and without a worker. A target that the archive doesn't hold (a time after the last commit, an unknown name) ends as
 * replayed to the archive's end, `stoppedBy: 'archive'`. Called again, it goes on where it was.
 *
 * Fails with RestoreFailed, in the instance's own words, where that dies, or promotes itself, or the archive ends before
 * it is consistent; with what serveWal fails with, which leaves it waiting; InvalidArgument where another recovery was
 * begun here; the signal's reason, which leaves it running.
 */
export async function beginRecovery(input: RecoveryInput): Promise<Reached> {
  const state = await readState(input.workDirectory);
  if (state !== undefined && JSON.stringify(state.target) !== JSON.stringify(input.target))
    throw new HoldfastError(
      'InvalidArgument',
      `the recovery in ${input.workDirectory} was begun to another target`,
      'let it go on to a later one, or throw it away and begin again',
    );
  if (state?.stage === 'promoted' || state?.stage === 'promoting') throw isPromoted(input);
  if (state === undefined)
    await writeState(input.workDirectory, {
      version: 1,
      target: input.target,
      asStandby: isStandby(input.target),
      stage: 'recovering',
      reached: null,
    });
  return recover(input);
}

export const isPromoted = ({ dataDirectory }: Pick<RecoveryInput, 'dataDirectory'>) =>
  new HoldfastError(
    'InvalidArgument',
    `the copy in ${dataDirectory} was promoted: it is a server of its own now`,
    'begin a new recovery to go to another place',
  );

/** To the target that the state tells, which goOn and beginRecovery have written. */
export async function recover(input: RecoveryInput): Promise<Reached> {
  const state = await readState(input.workDirectory);
  if (state === undefined) throw new HoldfastError('Unexpected', 'no recovery was begun', 'report this as a bug');
  try {
    return await recoverOnce(input, state.asStandby);
  } catch (error) {
    if (state.asStandby || !isTargetMissing(error)) throw error;
  }
  await writeState(input.workDirectory, { ...state, asStandby: true });
  return recoverOnce(input, true);
}

const isTargetMissing = (error: unknown) =>
  error instanceof HoldfastError &&
  error.message.includes('recovery ended before configured recovery target was reached');

/** PostgreSQL refuses, or pauses, where the log raises what the source was set to; pg_control then tells how far. */
const insufficient = 'because of insufficient parameter settings';
const isTooSmall = (error: unknown) => error instanceof HoldfastError && error.message.includes(insufficient);

const maxRaises = 5;

async function recoverOnce(input: RecoveryInput, asStandby: boolean): Promise<Reached> {
  for (let raises = 0; ; raises += 1) {
    try {
      const place = await recoverWith(input, asStandby);
      const state = await readState(input.workDirectory);
      if (state !== undefined) {
        const { lsn, timeline, lastTransactionTime, stoppedBy } = place;
        const known = lastTransactionTime ?? state.reached?.lastTransactionTime ?? null;
        const reached = { lsn, timeline, lastTransactionTime: known, stoppedBy };
        await writeState(input.workDirectory, { ...state, stage: 'reached', reached });
        return { ...place, ...reached };
      }
      return place;
    } catch (error) {
      if (!isTooSmall(error) || raises === maxRaises) throw error;
      await stopInstance(input.dataDirectory, { signal: input.signal });
    }
  }
}

async function recoverWith(input: RecoveryInput, asStandby: boolean): Promise<Reached> {
  const end = new ArchiveEnd();
  return whileServing(input, end, async (signal) => {
    const instanceInput = await instanceFor({ ...input, signal }, asStandby);
    const { mark, pid } = await instanceState(input.dataDirectory);
    if (pid !== undefined && mark !== undefined && mark.settings !== settingsDigest(instanceInput))
      await stopInstance(input.dataDirectory, { signal });
    if ((await instanceState(input.dataDirectory)).pid === undefined) await writeSignalFile(input, asStandby);
    const instance = await startInstance(instanceInput, {
      signal,
      onWait: () => {
        if (end.times >= neverConsistentAfter) throw neverConsistent(end.name);
        input.onProgress?.({ status: 'starting', lsn: null, lastTransactionTime: null, segment: end.name || null });
      },
    });
    end.forget();
    return untilReached({ ...input, signal }, instance, end, asStandby);
  });
}

/** So often a server asks in vain for the same segment before it is given up. */
const neverConsistentAfter = 6;

const neverConsistent = (segment: string) =>
  new HoldfastError(
    'RestoreFailed',
    `the archive ends before segment ${segment}, and the base backup isn't consistent yet`,
    'recover from an earlier backup, or wait until more is archived',
  );

/** Does something while WAL is served; what fails first ends both. */
export async function whileServing<T>(
  input: RecoveryInput,
  end: ArchiveEnd,
  act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const stop = new AbortController();
  const signal = AbortSignal.any([input.signal, stop.signal]);
  const serve = servingOf(input, signal, end);
  await prepareSpool(serve.spool, serve.owner);
  const serving = serveWal(serve);
  const acting = act(signal);
  try {
    const never = serving.then(() => new Promise<never>(() => undefined));
    return await Promise.race([acting, never]);
  } finally {
    stop.abort();
    await Promise.allSettled([serving, acting]);
  }
}

function servingOf(input: RecoveryInput, signal: AbortSignal, end: ArchiveEnd): ServeInput {
  return {
    spool: spoolAt(join(input.workDirectory, 'spool')),
    source: input.wal,
    segmentBytes: input.segmentBytes,
    timeline: pinned(input.target),
    last: input.last,
    owner: whomToBecome(input.runAs),
    localWal: join(input.dataDirectory, 'pg_wal'),
    signal,
    onAnswer: end.hear,
  };
}

function pinned({ timeline }: RecoveryTarget): number {
  if (timeline !== 'latest') return timeline;
  throw new HoldfastError(
    'InvalidArgument',
    'the target names no timeline',
    "give the timeline's number, as the plan has found it: 'latest' may be another one by now",
  );
}

/** Settings from the source's and from pg_control, which recovery itself raises. */
export async function instanceFor(input: RecoveryInput, asStandby: boolean | undefined): Promise<InstanceInput> {
  const { programs, dataDirectory, workDirectory, socketDirectory, port, runAs, signal } = input;
  const control = await readControlData(programs, dataDirectory, runAs, signal);
  if (control.systemIdentifier !== input.systemIdentifier)
    throw new HoldfastError(
      'RestoreFailed',
      `${dataDirectory} is of system ${control.systemIdentifier}, not of ${input.systemIdentifier}`,
      'this is the copy of another cluster: choose a new directory',
    );
  const { settings } = allowedSettings({
    programs,
    source: input.sourceSettings,
    control: control.settings,
    ...(input.preload === undefined ? {} : { preload: input.preload }),
  });
  const recovery =
    asStandby === undefined
      ? {}
      : recoverySettings(input.target, {
          timeline: pinned(input.target),
          restoreCommand: restoreCommand(spoolAt(join(workDirectory, 'spool'))),
          asStandby,
        });
  return {
    ...{ programs, dataDirectory, socketDirectory, port, runAs },
    ...(input.listen === undefined ? {} : { listen: input.listen }),
    settings: { ...settings, ...input.settings, ...recovery },
    logFile: join(workDirectory, 'server.log'),
  };
}

/** Exactly one of the two; a base from a standby brings one of its own. With both PostgreSQL is a standby. */
async function writeSignalFile(input: RecoveryInput, asStandby: boolean): Promise<void> {
  const [wanted, other] = asStandby ? ['standby.signal', 'recovery.signal'] : ['recovery.signal', 'standby.signal'];
  await writeLasting(join(input.dataDirectory, wanted), '', whomToBecome(input.runAs));
  await rm(join(input.dataDirectory, other), { force: true });
}

const pollMs = 100;

async function untilReached(
  input: RecoveryInput,
  instance: Instance,
  end: ArchiveEnd,
  asStandby: boolean,
): Promise<Reached> {
  const { signal } = input;
  const session = await open(input, instance);
  try {
    let toldAt = Date.now();
    for (let asked = false; ;) {
      const look = await lookAt(session);
      if (!look.inRecovery) throw promotedItself(instance);
      if (look.pauseState === 'paused') {
        const log = await readLog(instance.logFile, instance.logFrom);
        const words = saidIn(log, /^recovery stopping /);
        const isShort = saidIn(log, new RegExp(insufficient)) !== undefined;
        if (isShort || (!asStandby && words === undefined)) throw pausedEarly(log, instance);
        return await reachedAt(input, look, asStandby ? null : (words ?? null));
      }
      if (asStandby && !asked && end.times >= 2) {
        await session.query('SELECT pg_catalog.pg_wal_replay_pause()');
        asked = true;
      }
      if (Date.now() - toldAt >= 1_000) {
        toldAt = Date.now();
        const { lsn, lastTransactionTime } = look;
        input.onProgress?.({ status: 'replaying', lsn, lastTransactionTime, segment: end.name || null });
      }
      await sleep(pollMs, undefined, { signal });
    }
  } catch (error) {
    signal.throwIfAborted();
    throw await deathOf(input, instance, error);
  } finally {
    await session.close();
  }
}

async function open(input: RecoveryInput, instance: Instance): Promise<Session> {
  try {
    return await connect(serverOf(instance, input.who), { applicationName: 'holdfast recovery', signal: input.signal });
  } catch (error) {
    throw await deathOf(input, instance, error);
  }
}

/** A session that broke tells little; a server that died has said why. */
async function deathOf({ dataDirectory, signal }: RecoveryInput, instance: Instance, error: unknown): Promise<unknown> {
  signal.throwIfAborted();
  if (error instanceof HoldfastError && error.type !== 'PostgresUnavailable') return error;
  for (let turns = 0; turns < 50; turns += 1) {
    if ((await instanceState(dataDirectory)).pid !== instance.pid) {
      const log = await readLog(instance.logFile, instance.logFrom);
      return new HoldfastError(
        'RestoreFailed',
        `the instance on ${dataDirectory} died: ${reasonIn(log)}`,
        `see its log, ${instance.logFile}`,
        { cause: error },
      );
    }
    await sleep(pollMs, undefined, { signal });
  }
  return error;
}

async function reachedAt(
  input: RecoveryInput,
  { lsn, lastTransactionTime }: { lsn: string | null; lastTransactionTime: string | null },
  words: string | null,
): Promise<Reached> {
  const path = await pathTo(input.wal, pinned(input.target), input.signal);
  const at = parseLsn(lsn ?? '0/0');
  return {
    lsn: lsn ?? '0/0',
    timeline: timelineAt(path, at > 0n ? at - 1n : at) ?? pinned(input.target),
    lastTransactionTime,
    stoppedBy: words === null ? 'archive' : 'target',
    paused: true,
    words,
    socketDirectory: input.socketDirectory,
    port: input.port,
  };
}

function promotedItself({ dataDirectory, logFile }: Instance): HoldfastError {
  return new HoldfastError(
    'RestoreFailed',
    `the copy in ${dataDirectory} ended its recovery by itself`,
    `it is not at the place that was asked for; see its log, ${logFile}, and begin a new recovery`,
  );
}

function pausedEarly(log: string, { dataDirectory, logFile }: Instance): HoldfastError {
  const why = saidIn(log, new RegExp(insufficient));
  return new HoldfastError(
    'RestoreFailed',
    `the recovery in ${dataDirectory} paused before its target: ${why ?? 'somebody has paused it'}`,
    `see its log, ${logFile}; SELECT pg_wal_replay_resume() lets it go on`,
  );
}
