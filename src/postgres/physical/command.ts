import { HoldfastError } from '../../domain/errors.ts';
import type { Compressor } from '../../streams/compress.ts';
import type { Packing } from './backup-stream.ts';

/** Who compresses the archives; always at level 1, so that neither end waits for its compressor. */
export type CompressionWish =
  /**
   * The server, so that little travels: zstd, else lz4, else gzip, as it was built; then `otherwise`.
   * @param workers threads of the server's zstd; default: in the walsender itself
   */
  | { readonly by: 'server'; readonly workers?: number; readonly otherwise?: Compressor }
  | { readonly by: 'worker'; readonly compressor: Compressor }
  | { readonly by: 'none' };

/** One way to ask for the archives. */
export interface Attempt {
  readonly packing: Packing;
  readonly options: readonly string[];
}

/** What to try in turn: a server that can't compress so refuses by name before it begins. */
export function attemptsFor(wish: CompressionWish): readonly [Attempt, ...Attempt[]] {
  const plain = (packing: Packing): Attempt => ({ packing, options: [] });
  const packed = (compression: 'zstd' | 'lz4' | 'gzip', detail = 'level=1'): Attempt => ({
    packing: { by: 'server', compression },
    options: [`COMPRESSION '${compression}'`, `COMPRESSION_DETAIL '${detail}'`],
  });
  switch (wish.by) {
    case 'none':
      return [plain({ by: 'server', compression: 'none' })];
    case 'worker':
      return [plain({ by: 'worker', compressor: wish.compressor })];
    case 'server': {
      const rest = [
        packed('zstd'),
        packed('lz4'),
        packed('gzip'),
        ...(wish.otherwise === undefined ? [] : [plain({ by: 'worker' as const, compressor: wish.otherwise })]),
      ] as const;
      const threads = wish.workers ?? 0;
      return threads > 0
        ? [packed('zstd', `level=1,workers=${String(threads)}`), ...rest]
        : [rest[0], ...rest.slice(1)];
    }
  }
}

export interface CommandWishes {
  /** Printable ASCII, at most 200 characters: it goes into backup_label, where a line break would be a line. */
  readonly label: string;
  /** fast: at once, with the load that this is; spread: as an ordinary checkpoint, which may take minutes. */
  readonly checkpoint: 'fast' | 'spread';
  /** Put the WAL that the backup needs into its base.tar, so that it restores alone. */
  readonly wal?: boolean;
  /** Wait at the end until the server's own archive_command has taken that WAL; it may fail for ever. */
  readonly waitForServersArchive?: boolean;
  /** kilobytes per second, 32 to 1048576 */
  readonly maxRateKbs?: number;
  /** Default true: a page whose checksum is wrong makes the backup fail. */
  readonly verifyChecksums?: boolean;
}

/** Throws InvalidArgument. */
export function assertLabel(label: string): void {
  if (/^[\x20-\x7e]{1,200}$/.test(label)) return;
  throw new HoldfastError(
    'InvalidArgument',
    `${JSON.stringify(label)} can't be the label of a base backup`,
    'give 1 to 200 printable ASCII characters',
  );
}

/** @param wishes with a label that assertLabel has seen */
export function baseBackupCommand(wishes: CommandWishes, incremental: boolean, attempt: Attempt): string {
  const options = [
    `LABEL '${wishes.label.replaceAll("'", "''")}'`,
    'PROGRESS true',
    `CHECKPOINT '${wishes.checkpoint}'`,
    `WAL ${String(wishes.wal === true)}`,
    `WAIT ${String(wishes.waitForServersArchive === true)}`,
    'TABLESPACE_MAP true',
    `VERIFY_CHECKSUMS ${String(wishes.verifyChecksums !== false)}`,
    // Every stored byte has its SHA-256 already; these find a file that came out of the archive wrong.
    "MANIFEST 'yes'",
    "MANIFEST_CHECKSUMS 'CRC32C'",
    ...(wishes.maxRateKbs === undefined ? [] : [`MAX_RATE ${String(Math.round(wishes.maxRateKbs))}`]),
    ...(incremental ? ['INCREMENTAL true'] : []),
    ...attempt.options,
  ];
  return `BASE_BACKUP (${options.join(', ')})`;
}
