import { HoldfastError, messageOf } from '../../domain/errors.ts';
import type { Session } from '../connection.ts';
import { sqlState } from '../failures.ts';
import type { Notice } from '../replication/connection.ts';
import { describeServer, type Server } from '../server.ts';

/** Server without the compression, or without its threads: says so before it begins. */
export const refusesCompression = (error: unknown) => ['0A000', '42601', '22023'].includes(sqlState(error) ?? '');

/**
 * What ended a base backup, by its own name where PostgreSQL's text alone would leave a person puzzled.
 * @param ask an ordinary session with the server, if there still is one
 */
export async function backupFailure(
  error: unknown,
  about: { readonly server: Server; readonly wasInRecovery: boolean; readonly notices: readonly Notice[] },
  ask: () => Promise<Session | undefined>,
): Promise<unknown> {
  const { server, wasInRecovery, notices } = about;
  const state = sqlState(error);
  if (state === 'XX001')
    return new HoldfastError(
      'PostgresRefused',
      `${describeServer(server)} has damaged pages: ${[messageOf(error), ...warningsOf(notices)].join('; ')}`,
      'find what they belong to (pg_checksums, amcheck) and restore it from an earlier backup; keep the backups that you have',
      { cause: error },
    );
  if (error instanceof HoldfastError && messageOf(error).includes('has already been removed'))
    return new HoldfastError(
      error.type,
      error.message,
      'the server gave up WAL of this backup while it was taken: raise its max_slot_wal_keep_size or wal_keep_size, or let the WAL be archived (clusters.NAME.wal)',
      { cause: error },
    );
  if (state !== '55000') return error;
  if (wasInRecovery && (await isPrimary(ask)))
    return new HoldfastError(
      'PostgresUnavailable',
      `${describeServer(server)} was promoted while its base backup was taken, which can't be used`,
      'take it again',
      { cause: error },
    );
  if (wasInRecovery && messageOf(error).includes('full_page_writes'))
    return new HoldfastError(
      'PostgresRefused',
      messageOf(error),
      'set full_page_writes to on at the primary, run CHECKPOINT there and take the backup again, or take it from the primary',
      { cause: error },
    );
  return error;
}

async function isPrimary(ask: () => Promise<Session | undefined>): Promise<boolean> {
  try {
    const rows = await (await ask())?.query<{ readonly yes: boolean }>('SELECT NOT pg_is_in_recovery() AS yes');
    return rows?.[0]?.yes === true;
  } catch {
    return false;
  }
}

/** The server's warnings, each once. */
export const warningsOf = (notices: readonly Notice[]): readonly string[] => [
  ...new Set(notices.filter(({ sqlState: state }) => state.startsWith('01')).map(({ text }) => text)),
];

export function stalledBackup(
  server: Server,
  waitingFor: 'source' | 'sink',
  limitMs: number,
  notices: readonly Notice[],
): HoldfastError {
  const seconds = `${String(Math.round(limitMs / 1_000))} s`;
  if (waitingFor === 'sink')
    return new HoldfastError(
      'StoreUnavailable',
      `the repository has taken nothing of a base backup for ${seconds}`,
      'look whether the repository still answers: a hung mount, a full disk',
    );
  const said = warningsOf(notices).at(-1);
  return new HoldfastError(
    'PostgresUnavailable',
    `${describeServer(server)} has sent nothing of a base backup for ${seconds}${said === undefined ? '' : ` (its last warning: ${said})`}`,
    'look at pg_stat_progress_basebackup for what it waits for: a checkpoint, its archive_command, a disk',
  );
}
