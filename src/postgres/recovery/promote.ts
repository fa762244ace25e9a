import { setTimeout as sleep } from 'node:timers/promises';
import { HoldfastError } from '../../domain/errors.ts';
import { connect, withSession, type Session } from '../connection.ts';
import { removeMark } from '../instance/mark.ts';
import { rewriteSettings, runningInstance, serverOf, startInstance } from '../instance/start.ts';
import { instanceState } from '../instance/state.ts';
import { stopInstance } from '../instance/stop.ts';
import { ArchiveEnd } from './archive-end.ts';
import { restoreAutoConf } from './auto-conf.ts';
import { lookAt } from './look.ts';
import { removeRecoveredMark } from './owned-directory.ts';
import { instanceFor, recover, whileServing, type RecoveryInput } from './recover.ts';
import { readState, writeState } from './recovery-state.ts';

export interface Promoted {
  /** The copy's own, new one. */
  readonly timeline: number;
  /** Where it writes. */
  readonly lsn: string;
  readonly socketDirectory: string;
  readonly port: number;
}

const pollMs = 100;

/**
 * Makes the paused copy a server of its own, on a new timeline, and waits until it accepts writes. WAL is served
 * meanwhile: PostgreSQL asks for the histories that there are, and takes a timeline that nobody has. It never archives,
 * before or after. Done twice is done once. Fails with InvalidArgument where no target was reached; as beginRecovery.
 */
export async function promote(input: RecoveryInput): Promise<Promoted> {
  const { workDirectory, dataDirectory } = input;
  const state = await readState(workDirectory);
  if (state === undefined || state.stage === 'recovering')
    throw new HoldfastError(
      'InvalidArgument',
      `the recovery in ${workDirectory} has not reached its target`,
      'let it reach the target first: what is promoted is what somebody has looked at',
    );
  if ((await instanceState(dataDirectory)).pid === undefined) {
    // The machine was started anew: to the same place first, or, promoted already, just up.
    if (state.stage === 'promoted') await startInstance(await instanceFor(input, undefined), { signal: input.signal });
    else if (state.stage === 'reached') await recover(input);
  }
  if (state.stage !== 'promoted') await writeState(workDirectory, { ...state, stage: 'promoting' });
  const promoted = await whileServing(input, new ArchiveEnd(), async (signal) => {
    if ((await instanceState(dataDirectory)).pid === undefined)
      await startInstance(await instanceFor({ ...input, signal }, state.asStandby), { signal });
    const instance = await runningInstance(dataDirectory);
    const session = await connect(serverOf(instance, input.who), { applicationName: 'holdfast promotion', signal });
    try {
      const { inRecovery } = await lookAt(session);
      if (inRecovery) await session.query('SELECT pg_catalog.pg_promote(false)');
      while ((await lookAt(session)).inRecovery) await sleep(pollMs, undefined, { signal });
      return await placeOf(session, instance.socketDirectory, instance.port);
    } finally {
      await session.close();
    }
  });
  // Without restore_command and targets, for the next start.
  await rewriteSettings(await instanceFor(input, undefined));
  await withSession(serverOf(promoted, input.who), { signal: input.signal }, (session) =>
    session.query('SELECT pg_catalog.pg_reload_conf()'),
  );
  await writeState(workDirectory, { ...state, stage: 'promoted' });
  return promoted;
}

async function placeOf(session: Session, socketDirectory: string, port: number): Promise<Promoted> {
  // A checkpoint makes pg_control know the new timeline: a crash right now would begin from the old one otherwise.
  await session.query('CHECKPOINT');
  const [row] = await session.query<{ readonly lsn: string; readonly timeline: number }>(
    `SELECT pg_catalog.pg_current_wal_lsn()::text AS lsn, timeline_id AS timeline FROM pg_catalog.pg_control_checkpoint()`,
  );
  return { timeline: row?.timeline ?? 0, lsn: row?.lsn ?? '', socketDirectory, port };
}

/**
 * Gives a promoted copy in place to whoever runs the cluster's server: stopped, without our marks, with the settings
 * that ALTER SYSTEM had made in the source. Idempotent. Its own service starts it then.
 */
export async function handOver(
  input: Pick<RecoveryInput, 'dataDirectory' | 'workDirectory' | 'signal'> & {
    readonly tablespaces: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const { dataDirectory, workDirectory, signal, tablespaces } = input;
  const state = await readState(workDirectory);
  if (state?.stage !== 'promoted')
    throw new HoldfastError(
      'InvalidArgument',
      `the copy in ${dataDirectory} was not promoted`,
      'promote it first: a server of your own would promote it, or refuse to start',
    );
  await stopInstance(dataDirectory, { signal });
  await restoreAutoConf(dataDirectory);
  await removeMark(dataDirectory);
  for (const directory of [dataDirectory, ...Object.values(tablespaces)]) await removeRecoveredMark(directory);
}
