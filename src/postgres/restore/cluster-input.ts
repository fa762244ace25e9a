import type { Manifest, Part } from '../../domain/manifest.ts';
import { compressorFor, type Compressors } from '../../streams/compress.ts';
import type { Server } from '../connection.ts';
import type { Tools } from '../tools.ts';

export interface ClusterProgress {
  readonly phase: 'globals' | 'loading' | 'verifying' | 'analyzing' | 'naming';
  readonly database: string | null;
  /** Stored bytes read so far, and of all contents. */
  readonly bytes: number;
  readonly totalBytes: number;
  readonly databasesDone: number;
  readonly databasesTotal: number;
}

/** Between which steps `failpoint` is called, for every database. */
export type ClusterFailpoint = 'globals' | 'created' | 'loaded' | 'verified' | 'named';

export interface ClusterRestoreInput {
  readonly server: Server;
  /** psql of the target's major version. */
  readonly tools: Tools;
  readonly compressors: Compressors;
  readonly manifest: Manifest;
  /** Short id of the run: what it made in an earlier attempt is gone on with. */
  readonly run: string;
  /** A part's stored bytes; ends well only if they are what the manifest says. */
  readonly read: (part: Part) => AsyncIterable<Uint8Array>;
  /**
   * An archive as a file or directory that pg_restore can seek in, checked against the manifest. Needed where the
   * backup's contents are archives.
   */
  readonly archive?: (part: Part) => Promise<HeldArchive>;
  /** Connections that load at once, all databases together; default 1: one database after the other. */
  readonly jobs?: number;
  /** How many sessions verify and analyze at once. */
  readonly sessions: number;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: ClusterProgress) => void;
  /** For tests: what dies or throws here was interrupted between two steps. */
  readonly failpoint?: (name: ClusterFailpoint, database: string | null) => Promise<void>;
}

export interface HeldArchive {
  readonly path: string;
  /** Removes what was made for it. Never fails. */
  release(): Promise<void>;
}

/** undefined: the part is stored as plain text. */
export const compressorOf = ({ compressors }: Pick<ClusterRestoreInput, 'compressors'>, { compression }: Part) =>
  compression === 'none' ? undefined : compressorFor(compressors, compression);
