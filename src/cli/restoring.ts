import type { TemporalConnection } from '../client/connect.ts';
import { restoreArgument, type RestoreArgument } from '../domain/arguments.ts';
import type { Progress } from '../domain/run.ts';
import type { RestoreResult } from '../workflows/restore-run.ts';
import { checkedArgument } from './checked-argument.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Followed } from './follow.ts';
import type { Output } from './output.ts';
import { showCommands, showDecision } from './show-run.ts';
import { styled } from './spans.ts';
import { startAndFollow } from './starting.ts';
import { commandsFor } from './type-this.ts';

/** As they are typed. */
export interface RestoreOptions {
  readonly cluster?: string;
  readonly backup: string;
  readonly database?: string;
  readonly into?: string;
  readonly onto?: string;
  readonly table?: readonly string[];
  readonly schema?: readonly string[];
  readonly intoSchema?: string;
  readonly foreign?: true;
  readonly allow?: readonly string[];
  readonly properties: 'live' | 'backup';
  readonly missingRoles: 'fail' | 'create';
  readonly wait: boolean;
}

/** Throws InvalidArgument that names the option. */
export function restoreArgumentOf(options: RestoreOptions, requestedBy: string | undefined): RestoreArgument {
  const { cluster, backup, database, into, onto, table: tables, schema: schemas, intoSchema } = options;
  const { foreign, allow, properties, missingRoles } = options;
  const what = { cluster, backup, database, tables, schemas, into, intoSchema, onto, foreign, allow };
  const given = { ...what, properties, missingRoles, requestedBy };
  const value: unknown = JSON.parse(JSON.stringify(given));
  return checkedArgument(restoreArgument, value, {
    cluster: '--cluster',
    backup: '--backup',
    database: '--database',
    into: '--into',
    onto: '--onto',
    properties: '--properties',
    missingRoles: '--missing-roles',
    tables: '--table',
    schemas: '--schema',
    intoSchema: '--into-schema',
    foreign: '--foreign',
    allow: '--allow',
  });
}

/**
 * Starts a restore and follows it to where it is done for now: swapped (the run stays open for release or undo),
 * created, or restored. Where nobody can wait for a decision it ends with `waits`.
 */
export async function runRestore(
  context: Context,
  output: Output,
  temporal: TemporalConnection,
  argument: RestoreArgument,
  wait: boolean,
): Promise<ExitCode> {
  const { watch, followed } = await startAndFollow(
    context,
    output,
    temporal,
    { workflow: 'restore', argument },
    wait,
    ({ run }) => ({
      onProgress: decisionWatcher(output, run),
    }),
  );
  if (!followed) return exitCodes.ok;
  return endOfRestore(output, watch.run, followed, () => watch.outcome());
}

/** Shows every plan once. A terminal goes on waiting; anything else stops where a person is needed. */
export function decisionWatcher(output: Output, run: string): (progress: Progress) => 'go on' | 'stop' {
  let shown: string | null = null;
  return (progress) => {
    if (progress.waitingFor === 'follow-up') return 'stop';
    if (progress.waitingFor !== 'decision') return 'go on';
    if (shown !== progress.planDigest) {
      shown = progress.planDigest;
      showDecision(output, run, progress);
    }
    return output.terminal ? 'go on' : 'stop';
  };
}

export async function endOfRestore(
  output: Output,
  run: string,
  followed: Followed,
  outcome: () => Promise<unknown>,
): Promise<ExitCode> {
  if (followed.end === 'stopped') {
    const { progress } = followed;
    const { waitingFor, planDigest, expiresAt } = progress;
    const commands = commandsFor(run, progress);
    if (waitingFor === 'follow-up') {
      output.line();
      output.line(
        styled('green', 'swapped'),
        ': the restored database is live; the old one is kept until you release it or swap it back',
      );
      showCommands(output, commands);
    }
    output.document({
      run,
      outcome: waitingFor === 'follow-up' ? 'swapped' : null,
      waitingFor,
      planDigest,
      plan: progress.plan,
      expiresAt,
      next: commands,
    });
    return waitingFor === 'decision' ? exitCodes.waits : exitCodes.ok;
  }
  const result = (await outcome()) as RestoreResult;
  output.line(styled('green', result.outcome), ` from backup ${result.backup}`);
  for (const done of result.done) output.line(`  ${done}`);
  output.document({ run, outcome: result.outcome, waitingFor: null, result });
  return exitCodes.ok;
}
