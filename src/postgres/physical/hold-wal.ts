import { messageOf } from '../../domain/errors.ts';
import { sqlState } from '../failures.ts';
import type { ReplicationSession } from '../replication/connection.ts';

/**
 * Keeps the server from recycling the WAL that a base backup with its WAL is about to need: it sends that last, and
 * checkpoints meanwhile remove what nobody holds. By a temporary replication slot of the same connection, which goes
 * away with it, and with every command that fails: so this comes before each BASE_BACKUP.
 * @returns a warning where the server has no slot to give: then only its wal_keep_size helps
 */
export async function holdWal(replication: ReplicationSession, attempt: number): Promise<string | undefined> {
  const slot = `holdfast_base_${String(replication.backendPid)}_${String(attempt)}`;
  try {
    await replication.command(`CREATE_REPLICATION_SLOT "${slot}" TEMPORARY PHYSICAL RESERVE_WAL`);
    return undefined;
  } catch (error) {
    const state = sqlState(error);
    if (state !== slotsAreTaken && state !== slotsAreOff) throw error;
    return `no replication slot keeps the WAL of this backup while it is taken (${messageOf(error)}): raise max_replication_slots`;
  }
}

/** configuration_limit_exceeded */
const slotsAreTaken = '53400';
/** object_not_in_prerequisite_state: max_replication_slots = 0 */
const slotsAreOff = '55000';
