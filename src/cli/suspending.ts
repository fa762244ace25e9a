import type { Client } from '@temporalio/client';
import { lookUpSchedule } from '../client/schedules.ts';
import type { Config } from '../domain/config.ts';
import { HoldfastError } from '../domain/errors.ts';
import { openKubernetes } from '../kubernetes/connection.ts';
import type { Imported } from '../kubernetes/scheduled-backups/imported.ts';
import { suspend } from '../kubernetes/scheduled-backups/suspend.ts';
import { ask, canAsk } from './ask.ts';
import type { Context } from './context.ts';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import type { LookedForSchedules } from './importing.ts';
import { warnOfUnread } from './look-through.ts';
import type { Output } from './output.ts';
import { showSuspended, showSuspensions, suspendedDocument } from './show-suspended.ts';
import { judgeSuspension, type Suspended, type SuspendVerdict } from './suspend-verdict.ts';

export interface SuspendWishes {
  readonly config: Config;
  readonly found: LookedForSchedules;
  /** Don't ask. */
  readonly yes: boolean;
}

/**
 * Shows what would be suspended, asks, and does it. Nothing but a word at a terminal, or --yes, is taken for a yes.
 * Not `ok` where a ScheduledBackup goes on as before.
 */
export async function suspendShown(
  context: Context,
  output: Output,
  client: Client,
  { config, found, yes }: SuspendWishes,
): Promise<ExitCode> {
  warnOfUnread(output, found.unread);
  const verdicts = await judgeSuspensions(client, config, found.imported);
  showSuspensions(output, verdicts);
  const wanted = verdicts.filter((one) => one.verdict === 'suspend');
  if (wanted.length > 0 && !yes) await confirm(context, output, wanted.length);
  const suspended = await suspendAll(context.environment, wanted);
  showSuspended(output, suspended);
  output.document(suspendedDocument(verdicts, suspended));
  const failed = suspended.find(({ error }) => error !== null);
  if (failed?.error) return exitCodeOf(failed.error.type);
  return verdicts.some(({ verdict }) => verdict === 'left') ? exitCodes.refused : exitCodes.ok;
}

async function confirm(context: Context, output: Output, count: number): Promise<void> {
  const what = count === 1 ? 'it' : `these ${String(count)}`;
  if (output.json || !canAsk(context))
    throw new HoldfastError(
      'InvalidArgument',
      'nobody can be asked here whether to suspend them, so nothing was',
      'look at what would be suspended, and add --yes',
    );
  if (
    (await ask(context, `\nType yes to suspend ${what}, anything else to leave ${count === 1 ? 'it' : 'them'}: `)) ===
    'yes'
  )
    return;
  throw new HoldfastError('DecisionRefused', 'nothing was suspended', 'CloudNativePG goes on taking the backups');
}

/** Asks Temporal for the schedules of the policies that are said to do the work. Changes nothing. */
async function judgeSuspensions(
  client: Client,
  config: Config,
  imported: readonly Imported[],
): Promise<SuspendVerdict[]> {
  return Promise.all(
    imported.map(async (one) =>
      judgeSuspension(
        one,
        one.outcome.kind === 'known' ? await lookUpSchedule(client, config, one.outcome.policy) : undefined,
      ),
    ),
  );
}

/** One after the other; one that fails is told, and the others go on. */
async function suspendAll(
  environment: Readonly<Record<string, string | undefined>>,
  wanted: readonly Extract<SuspendVerdict, { verdict: 'suspend' }>[],
): Promise<Suspended[]> {
  const kubernetes = await openKubernetes(environment);
  const done: Suspended[] = [];
  for (const { imported, policy } of wanted) {
    try {
      await suspend(kubernetes, imported);
      done.push({ imported, policy, error: null });
    } catch (error) {
      if (!(error instanceof HoldfastError)) throw error;
      done.push({ imported, policy, error });
    }
  }
  return done;
}
