import { walDirectory } from '../../domain/wal-archive.ts';

export interface SegmentKey {
  readonly cluster: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  /** 24 hexadecimal digits, of the same timeline. */
  readonly segment: string;
  readonly partial: boolean;
  readonly compression: 'zstd' | 'gzip';
}

/** undefined for every key that walSegmentKey doesn't make. */
export function parseSegmentKey(key: string): SegmentKey | undefined {
  const match = /^(.+)\/wal\/([0-9]{1,20})\/([0-9A-F]{8})\/(\3[0-9A-F]{16})(\.partial)?\.(zst|gz)$/.exec(key);
  const [, cluster = '', systemIdentifier = '', timeline = '', segment = '', partial, ending] = match ?? [];
  if (match === null) return undefined;
  return {
    cluster,
    systemIdentifier,
    timeline: Number.parseInt(timeline, 16),
    segment,
    partial: partial !== undefined,
    compression: ending === 'zst' ? 'zstd' : 'gzip',
  };
}

/** The timeline whose history the key names, below the directory of the log; undefined for other keys. */
export function parseHistoryKey(key: string): number | undefined {
  const match = /\/([0-9A-F]{8})\.history$/.exec(key);
  return match ? Number.parseInt(match[1] ?? '', 16) : undefined;
}

/** PostgreSQL's notes on base backups lie beside the segments, under the names that it gave them. */
export const isBackupLabelName = (name: string) => /^[0-9A-F]{24}\.[0-9A-F]{8}\.backup$/.test(name);

/** `<cluster>/wal/<system identifier>/<timeline>/<segment>.<offset>.backup` */
export const backupLabelKey = (cluster: string, systemIdentifier: string, name: string) =>
  `${walDirectory(cluster, systemIdentifier)}/${name.slice(0, 8)}/${name}`;
