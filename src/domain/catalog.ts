import { HoldfastError } from './errors.ts';
import { holdsWhole, type Manifest } from './manifest.ts';

/** A backup as the catalog shows it: its manifest, where that lies, and what later checks found. */
export interface Backup {
  readonly manifest: Manifest;
  readonly manifestKey: string;
  /** Outcome of the newest verification that is on record. */
  readonly verification: 'passed' | 'failed' | 'none';
  /** Outcome of the newest restore drill that is on record. */
  readonly drill: 'passed' | 'failed' | 'none';
}

/** A manifest that is there but can't be read: shown, never used, never deleted. */
export interface Unreadable {
  readonly manifestKey: string;
  readonly reason: string;
}

export interface Catalog {
  /** Newest first. */
  readonly backups: readonly Backup[];
  readonly unreadable: readonly Unreadable[];
}

/** Complete, and not found damaged since. */
export const isGood = (backup: Backup) => backup.manifest.status === 'complete' && backup.verification !== 'failed';

export function newestFirst(backups: readonly Backup[]): Backup[] {
  return [...backups].sort(
    (a, b) =>
      Date.parse(b.manifest.startedAt) - Date.parse(a.manifest.startedAt) || compare(b.manifest.id, a.manifest.id),
  );
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

export interface Wanted {
  readonly cluster: string;
  /** 'latest' or an id. */
  readonly backup: string;
  /** Only a backup that holds this database whole will do. */
  readonly database?: string | undefined;
}

/**
 * The backup that a restore means. `latest` is the newest that is good; for one database, the newest that holds that
 * database whole, be it partial for others. Throws NoSuchBackup that says what there is.
 */
export function findBackup(catalog: Catalog, wanted: Wanted): Backup {
  const ofCluster = newestFirst(catalog.backups.filter((backup) => backup.manifest.cluster === wanted.cluster));
  if (wanted.backup === 'latest') {
    const usable = ofCluster.find((backup) =>
      wanted.database === undefined
        ? isGood(backup)
        : backup.verification !== 'failed' && holdsWhole(backup.manifest, wanted.database),
    );
    if (usable) return usable;
    throw new HoldfastError(
      'NoSuchBackup',
      `cluster ${wanted.cluster} has no backup that ${need(wanted.database)}`,
      whatThereIs(ofCluster, catalog),
    );
  }
  const byId = ofCluster.find((backup) => backup.manifest.id === wanted.backup);
  if (!byId) {
    throw new HoldfastError(
      'NoSuchBackup',
      `cluster ${wanted.cluster} has no backup '${wanted.backup}'`,
      whatThereIs(ofCluster, catalog),
    );
  }
  if (wanted.database !== undefined && !holdsWhole(byId.manifest, wanted.database)) {
    const held = byId.manifest.databases.filter(({ status }) => status === 'dumped').map(({ name }) => `'${name}'`);
    const record = byId.manifest.databases.find(({ name }) => name === wanted.database);
    throw new HoldfastError(
      'NoSuchBackup',
      record
        ? `backup ${wanted.backup} doesn't hold database '${wanted.database}': it ${record.status === 'failed' ? 'failed' : 'was skipped'} (${record.reason ?? 'no reason on record'})`
        : `backup ${wanted.backup} doesn't hold a database '${wanted.database}'`,
      `it holds ${someOf(held)}; 'latest' takes the newest backup that holds the database whole`,
    );
  }
  return byId;
}

const need = (database: string | undefined) =>
  database === undefined ? 'is complete and undamaged' : `holds database '${database}' whole`;

function someOf(names: readonly string[]): string {
  if (names.length === 0) return 'no database whole';
  return `${names.slice(0, 20).join(', ')}${names.length > 20 ? ` and ${String(names.length - 20)} more` : ''}`;
}

function whatThereIs(ofCluster: readonly Backup[], catalog: Catalog): string {
  const unreadable =
    catalog.unreadable.length === 0 ? '' : `; ${String(catalog.unreadable.length)} manifests can't be read`;
  if (ofCluster.length === 0)
    return `the repository holds none of this cluster${unreadable}; see 'holdfast backups list'`;
  const ids = ofCluster.slice(0, 5).map(({ manifest }) => manifest.id);
  return `the newest are ${ids.join(', ')}${unreadable}; see 'holdfast backups list'`;
}
