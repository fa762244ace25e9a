import { readdirSync } from 'node:fs';
import type { ServerPrograms } from '../server-programs.ts';

/**
 * The settings of an instance that the worker starts. A copy knows the source's settings, but may take only what is on
 * a list: anything else could make it archive into the source's archive, follow the source, or fire its jobs.
 */
export type Settings = Readonly<Record<string, string>>;

export interface SettingsWishes {
  readonly programs: Pick<ServerPrograms, 'major' | 'libraryDirectories'>;
  /** The source's settings as its base backup recorded them; {} where nothing is known. */
  readonly source: Settings;
  /** From pg_control, where there is a data directory already; {} otherwise. */
  readonly control: Settings;
  /** Libraries for shared_preload_libraries that the copy needs: taken where the source loads them and they are here. */
  readonly preload?: readonly string[];
  /** Default 128MB. */
  readonly sharedBuffers?: string;
}

export interface AllowedSettings {
  readonly settings: Settings;
  /** Names of the source's settings that the copy doesn't take, sorted. */
  readonly dropped: readonly string[];
  /** Libraries that were wished for and aren't installed here. */
  readonly missingLibraries: readonly string[];
}

/** A hot standby refuses to open with less than the server had whose log it replays. */
const atLeast = {
  max_connections: 20,
  max_worker_processes: 8,
  max_wal_senders: 10,
  max_prepared_transactions: 0,
  max_locks_per_transaction: 64,
} as const;

/** What changes how values are read and shown, and nothing else. */
const harmless = ['DateStyle', 'IntervalStyle', 'TimeZone', 'timezone', 'default_text_search_config'] as const;

export function allowedSettings(wishes: SettingsWishes): AllowedSettings {
  const { source, control, preload = [] } = wishes;
  const settings: Record<string, string> = { shared_buffers: wishes.sharedBuffers ?? '128MB' };
  for (const [name, least] of Object.entries(atLeast))
    settings[name] = String(Math.max(least, wholeNumber(source[name]), wholeNumber(control[name])));
  for (const name of harmless) {
    const value = source[name];
    if (value !== undefined && value !== '') settings[name] = value;
  }
  const loaded = listOf(source['shared_preload_libraries'] ?? '');
  const wished = preload.filter((library) => loaded.length === 0 || loaded.includes(library));
  const here = wished.filter((library) => isHere(library, wishes.programs.libraryDirectories));
  if (here.length > 0) settings['shared_preload_libraries'] = here.join(',');
  return {
    settings,
    dropped: Object.keys(source)
      .filter((name) => settings[name] === undefined)
      .sort(),
    missingLibraries: wished.filter((library) => !here.includes(library)),
  };
}

const wholeNumber = (text: string | undefined) => (text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : 0);

const listOf = (text: string) =>
  text
    .split(',')
    .map((item) => item.trim().replace(/^"(.*)"$/, '$1'))
    .filter((item) => item !== '');

function isHere(library: string, directories: readonly string[]): boolean {
  // Only a plain name: a path would load whatever somebody put there.
  if (!/^[A-Za-z0-9_.-]+$/.test(library)) return false;
  return directories.some((directory) => {
    try {
      return readdirSync(directory).some((file) => file === `${library}.so` || file === `${library}.dylib`);
    } catch {
      return false;
    }
  });
}

/**
 * What holds for every instance whatever else is said. It stands on the command line, where neither a configuration
 * file, nor the data directory's postgresql.auto.conf, nor a later ALTER SYSTEM wins over it.
 */
export function forcedSettings(major: number): Settings {
  return {
    archive_mode: 'off',
    archive_command: '',
    ...(major >= 15 ? { archive_library: '' } : {}),
    archive_cleanup_command: '',
    recovery_end_command: '',
    primary_conninfo: '',
    primary_slot_name: '',
    synchronous_standby_names: '',
    // No worker that applies subscriptions is ever launched.
    max_logical_replication_workers: '0',
    session_preload_libraries: '',
    local_preload_libraries: '',
    ssl: 'off',
    hot_standby: 'on',
    logging_collector: 'off',
    log_destination: 'stderr',
    // Its log is read by us: why it died, where it stopped.
    lc_messages: 'C',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
  };
}

/** Text of a postgresql.conf. */
export const renderSettings = (settings: Settings) =>
  Object.entries(settings)
    .map(([name, value]) => `${name} = ${quoteSetting(value)}\n`)
    .join('');

/** guc-file.l: within quotes a quote is doubled and a backslash begins an escape. */
const quoteSetting = (value: string) => `'${value.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
