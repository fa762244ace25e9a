import type { TemporalConnection } from '../client/connect.ts';
import { restoreArgument, type RestoreArgument } from '../domain/arguments.ts';
import type { RestoreResult } from '../workflows/restore-run.ts';
import { checkedArgument } from './checked-argument.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import type { Followed } from './follow.ts';
import type { Output } from './output.ts';
import { decisionWatcher, endOfDecided } from './decided-runs.ts';
import { startAndFollow } from './starting.ts';

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

export const endOfRestore = (
  output: Output,
  run: string,
  followed: Followed,
  outcome: () => Promise<unknown>,
): Promise<ExitCode> =>
  endOfDecided(output, run, followed, outcome, {
    standing: () => ({
      outcome: 'swapped',
      words: [': the restored database is live; the old one is kept until you release it or swap it back'],
    }),
    ended: (result) => {
      const { outcome: how, backup, done } = result as RestoreResult;
      return { outcome: how, words: [` from backup ${backup}`], done };
    },
  });
