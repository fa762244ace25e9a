import type { DatabaseRecord, Manifest, Part } from '../domain/manifest.ts';
import type { BackupSpec } from '../domain/specs.ts';
import type { Server } from '../postgres/server.ts';
import type { Tools } from '../postgres/tools.ts';
import type { Repository, Staged, StageOwner } from '../storage/repository.ts';
import type { Compressor } from '../streams/compress.ts';

/** What every method of a logical backup is told, and what it answers. */
export interface Order {
  readonly spec: BackupSpec;
  readonly repository: Repository;
  readonly owner: StageOwner;
  readonly server: Server;
  readonly tools: Tools;
  readonly compressor: Compressor;
  /** Of all databases together. */
  readonly expectedBytes: number;
  /** The key of one of the backup's objects. */
  readonly keyOf: (suffix: string) => string;
  readonly scratch: string;
  readonly applicationName: string;
  readonly earlierNames: readonly string[];
}

/** Everything is staged. */
export interface Taking extends Pick<Manifest, 'status' | 'server' | 'tools'> {
  readonly objects: readonly Staged[];
  readonly parts: readonly Part[];
  readonly databases: readonly DatabaseRecord[];
  readonly roles: Readonly<Manifest['roles']>;
  readonly tablespaces: Readonly<Manifest['tablespaces']>;
  readonly warnings: readonly string[];
}
