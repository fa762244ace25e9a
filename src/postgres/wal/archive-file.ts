import { parseSegmentName, type SegmentId } from '../../domain/wal.ts';

/** What archive_command left, as its name tells. */
export type ArchiveFile = {
  readonly name: string;
  readonly compression: 'none' | 'gzip' | 'zstd';
} & (
  | ({ readonly kind: 'segment' | 'partial' } & SegmentId)
  | { readonly kind: 'history'; readonly timeline: number }
  /** PostgreSQL's note on a base backup, under the name that it has without compression. */
  | { readonly kind: 'label'; readonly plainName: string }
);

const endings = { '': 'none', '.gz': 'gzip', '.zst': 'zstd' } as const;

/** undefined for everything that isn't of an archive, also a segment's name where segments have another size. */
export function parseArchiveFile(name: string, segmentBytes: number): ArchiveFile | undefined {
  const match = /^([0-9A-F]{8}(?:[0-9A-F]{16})?)((?:\.[0-9A-F]{8})?\.backup|\.history|\.partial)?(\.gz|\.zst)?$/.exec(
    name,
  );
  if (match === null) return undefined;
  const [, stem = '', kind = '', ending = ''] = match;
  const file = { name, compression: endings[ending as keyof typeof endings] };
  if (kind === '.history')
    return stem.length === 8 ? { ...file, kind: 'history', timeline: Number.parseInt(stem, 16) } : undefined;
  const id = parseSegmentName(stem, segmentBytes);
  if (id === undefined) return undefined;
  if (kind === '') return { ...file, kind: 'segment', ...id };
  if (kind === '.partial') return { ...file, kind: 'partial', ...id };
  return kind.length === '.00000028.backup'.length
    ? { ...file, kind: 'label', plainName: `${stem}${kind}` }
    : undefined;
}

const ranks = { history: 0, segment: 1, partial: 2, label: 3 };

/** Histories first, then segments as they follow on each other. */
export function inOrder(files: readonly ArchiveFile[]): readonly ArchiveFile[] {
  return files.toSorted((a, b) => ranks[a.kind] - ranks[b.kind] || (a.name < b.name ? -1 : 1));
}

/** The name of the newest segment, whole or partial: what comes before it was written before it. */
export function newestName(files: readonly ArchiveFile[]): string {
  let newest = '';
  for (const { kind, name } of files) if (kind === 'segment' && name > newest) newest = name;
  return newest.slice(0, 24);
}
