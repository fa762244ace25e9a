import { HoldfastError } from '../../domain/errors.ts';
import { microsOf, type RecoveryTarget } from '../../domain/recovery-target.ts';
import { parseLsn } from '../../domain/wal.ts';
import { stopInstance } from '../instance/stop.ts';
import { isPromoted, recover, type Reached, type RecoveryInput } from './recover.ts';
import { isStandby } from './recovery-settings.ts';
import { readState, writeState, type RecoveryState } from './recovery-state.ts';

/**
 * Lets a paused recovery go on to a later target, the input's; also farther along an archive that has grown meanwhile.
 * Called again after an interruption, it goes on. There is no way back in a copy: InvalidArgument, before anything is
 * touched, for a target before the place where it stands, and for a copy that was promoted. What lies before it though
 * nobody could know (a name, a transaction) ends at the archive's end. Fails as beginRecovery does.
 */
export async function goOn(input: RecoveryInput): Promise<Reached> {
  const { target, workDirectory, dataDirectory, signal } = input;
  const state = await readState(workDirectory);
  if (state === undefined)
    throw new HoldfastError('InvalidArgument', `no recovery was begun in ${workDirectory}`, 'begin one');
  if (state.stage === 'promoted' || state.stage === 'promoting') throw isPromoted(input);
  const isBegun = state.stage === 'recovering' && JSON.stringify(state.target) === JSON.stringify(target);
  if (!isBegun) {
    refuseBackwards(state, target);
    await writeState(workDirectory, { ...state, target, asStandby: isStandby(target), stage: 'recovering' });
  }
  // It may hold the answer to the old target still; with the state written, whoever comes next goes to the new one.
  if (!isBegun) await stopInstance(dataDirectory, { signal });
  return recover(input);
}

function refuseBackwards({ target: before, reached }: RecoveryState, target: RecoveryTarget): void {
  const refuse = (what: string) =>
    new HoldfastError(
      'InvalidArgument',
      `the recovery can't go on to ${what}: it stands at ${reached?.lsn ?? 'an unknown place'} already`,
      'a copy never goes back: begin a new recovery for an earlier target',
    );
  if (target.timeline !== before.timeline) throw refuse(`timeline ${String(target.timeline)}`);
  switch (target.kind) {
    case 'immediate':
      throw refuse("the base backup's end");
    case 'lsn':
      if (reached !== null && parseLsn(target.lsn) < parseLsn(reached.lsn)) throw refuse(target.lsn);
      return;
    case 'time': {
      const last = reached?.lastTransactionTime ?? null;
      const known = [last, before.kind === 'time' ? before.at : null].flatMap((at) => (at === null ? [] : [at]));
      if (known.some((at) => microsOf(target.at) < microsOf(at))) throw refuse(target.at);
      return;
    }
    case 'latest':
    case 'xid':
    case 'name':
      return;
  }
}
