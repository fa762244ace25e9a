import { HoldfastError } from '../../domain/errors.ts';
import { parseLsn, type Lsn } from '../../domain/wal.ts';
import { capture } from '../../process/chain.ts';
import type { ServerPrograms } from '../server-programs.ts';
import { commandAs, type RunAs } from './run-as.ts';

/** What pg_control says of a data directory. */
export interface ControlData {
  readonly systemIdentifier: string;
  /** "shut down", "in production", "in archive recovery", … in PostgreSQL's own words. */
  readonly state: string;
  readonly timeline: number;
  readonly checkpoint: Lsn;
  /** Replay has to come at least here before anybody may look; 0 where nothing is asked. */
  readonly minRecoveryEnd: Lsn;
  readonly segmentBytes: number;
  readonly dataChecksums: boolean;
  /** What a hot standby has to have at least as high, by its name in postgresql.conf. */
  readonly settings: Readonly<Record<string, string>>;
}

/**
 * Fails with RestoreFailed where there is no pg_control that this major version reads (a wrong checksum in it is
 * damage, and is refused), else as `capture` does.
 */
export async function readControlData(
  programs: ServerPrograms,
  dataDirectory: string,
  runAs: RunAs | undefined,
  signal: AbortSignal,
): Promise<ControlData> {
  const command = commandAs({ file: programs.pgControldata, args: ['-D', dataDirectory] }, runAs);
  const { stdout, stderr } = await capture(command, { signal, maxBytes: 65_536 });
  if (/^WARNING/m.test(`${stdout}\n${stderr}`))
    throw unreadable(dataDirectory, /^WARNING:? *(.*)/m.exec(`${stdout}\n${stderr}`)?.[1] ?? 'it is damaged');
  return parseControlData(stdout, dataDirectory);
}

/** Reads what pg_controldata prints with LC_ALL=C. */
function parseControlData(text: string, dataDirectory: string): ControlData {
  const values = new Map(
    text.split('\n').map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const value = (name: string) => {
    const found = values.get(name);
    if (found === undefined) throw unreadable(dataDirectory, `pg_controldata tells no '${name}'`);
    return found;
  };
  return {
    systemIdentifier: value('Database system identifier'),
    state: value('Database cluster state'),
    timeline: Number(value("Latest checkpoint's TimeLineID")),
    checkpoint: parseLsn(value('Latest checkpoint location')),
    minRecoveryEnd: parseLsn(value('Minimum recovery ending location')),
    segmentBytes: Number(value('Bytes per WAL segment')),
    dataChecksums: value('Data page checksum version') !== '0',
    settings: {
      max_connections: value('max_connections setting'),
      max_worker_processes: value('max_worker_processes setting'),
      max_wal_senders: value('max_wal_senders setting'),
      max_prepared_transactions: value('max_prepared_xacts setting'),
      max_locks_per_transaction: value('max_locks_per_xact setting'),
    },
  };
}

const unreadable = (dataDirectory: string, why: string) =>
  new HoldfastError(
    'RestoreFailed',
    `${dataDirectory} holds no readable pg_control: ${why}`,
    'restore the base backup again, or from another one',
  );
