import type { BaseArchive, BaseBackup, BaseManifest } from '../domain/base-manifest.ts';
import { chainOf } from '../domain/base-state.ts';
import { formatBytes, formatSeconds, shellWord } from '../domain/format.ts';
import type { LocatedBase } from './catalogs.ts';
import type { Output } from './output.ts';
import { outcomeSpan, showFacts, type Facts } from './show-facts.ts';
import { baseBytes } from './show-bases.ts';
import { styled, type Span } from './spans.ts';
import { formatAge, formatUtc } from './times.ts';
import { commandWord } from './type-this.ts';

/**
 * One base backup: where it begins and ends in the log, what it is made of, what it builds on.
 * @param bases every base backup of its repository
 */
export function showBase(
  output: Output,
  located: LocatedBase,
  bases: readonly BaseBackup[],
  nowMs: number,
  place: string,
): void {
  const { manifest, manifestKey, verification, drill } = located.base;
  const { server, tablespaces } = manifest;
  const started = new Date(manifest.startedAt);
  const seconds = (Date.parse(manifest.finishedAt) - started.getTime()) / 1000;
  const facts: Facts = [
    ['cluster', manifest.cluster],
    ['policy', `${manifest.policy} (base, ${manifest.type})`],
    ['verified', outcomeSpan(verification)],
    ['drill', outcomeSpan(drill)],
    ['taken', `${formatUtc(started)}, ${formatAge(started, nowMs)} ago, in ${formatSeconds(seconds)}`],
    [
      'server',
      `PostgreSQL ${server.version}, system ${server.systemIdentifier}${server.inRecovery ? ', a standby' : ''}, data checksums ${server.dataChecksums ? 'on' : 'off'}`,
    ],
    ['recovers', recovers(manifest)],
    ['WAL', walSpan(manifest)],
    ...chainFacts(bases, located.base),
    ['tools', pairs(manifest.tools, ' ')],
    ['settings', pairs(manifest.settings, ' = ')],
    ['run', manifest.run.workflowId],
    ['repository', `${located.repository}, ${place}`],
    ['manifest', manifestKey],
    ['size', `${formatBytes(baseBytes(manifest))} in ${String(manifest.objects.length)} objects`],
    ...manifest.objects.map(({ key, bytes, sha256 }): [string, string] => [
      'file',
      `${key}, ${formatBytes(bytes)}, sha-256 ${sha256}`,
    ]),
  ];
  output.line(styled('bold', manifest.id));
  showFacts(output, facts);
  output.line();
  output.table(
    ['ARCHIVE', 'OF', 'STORED', 'UNPACKED', 'COMPRESSION'],
    manifest.archives.map((archive) => [
      archive.key.slice(archive.key.lastIndexOf('/') + 1),
      ofWhat(archive, manifest),
      formatBytes(archive.bytes),
      archive.plainBytes === null ? 'not known' : formatBytes(archive.plainBytes),
      archive.compression,
    ]),
    '  ',
  );
  if (tablespaces.length > 0) {
    output.line();
    output.table(
      ['TABLESPACE', 'OID', 'WHERE IT LAY'],
      tablespaces.map(({ name, oid, location }) => [name, String(oid), location]),
      '  ',
    );
  }
  output.line();
  output.table(
    ['DATABASE', 'SIZE', 'ENCODING', 'COLLATION'],
    manifest.databases.map(({ name, bytes, encoding, collate, collationVersion }) => [
      name,
      formatBytes(bytes),
      encoding,
      `${collate}${collationVersion === null ? '' : ` ${collationVersion}`}`,
    ]),
    '  ',
  );
  for (const warning of manifest.warnings) output.line(styled('yellow', '  warning: '), warning);
  showCommands(output, manifest, place);
}

const recovers = ({ serverFinishedAt, stopLsn, stopTimeline, includesWal }: BaseManifest) =>
  `from ${formatUtc(new Date(serverFinishedAt))} on (${stopLsn}, timeline ${String(stopTimeline)})${includesWal ? '; to its own end without any archive' : ', as far as its WAL is archived'}`;

const walSpan = ({ startLsn, startTimeline, stopLsn, stopTimeline, includesWal }: BaseManifest) =>
  `${startLsn} (timeline ${String(startTimeline)}) to ${stopLsn} (timeline ${String(stopTimeline)}), ${includesWal ? 'included' : 'in the archive'}`;

/** What it builds on, and whether that is all there. */
function chainFacts(bases: readonly BaseBackup[], base: BaseBackup): Facts {
  if (base.manifest.parent === null) return [];
  const found = chainOf(bases, base);
  const value: Span = found.whole
    ? found.chain.map(({ manifest }) => manifest.id).join(' → ')
    : styled('red', `NOT USABLE: ${found.reason}`);
  return [['chain', value]];
}

const pairs = (record: Readonly<Record<string, string>>, between: string) =>
  Object.entries(record)
    .map(([name, value]) => `${name}${between}${value}`)
    .join(', ');

function ofWhat({ tablespace }: BaseArchive, { tablespaces }: BaseManifest): string {
  if (tablespace === null) return 'the data directory';
  return `tablespace ${tablespaces.find(({ oid }) => oid === tablespace)?.name ?? String(tablespace)}`;
}

/** How to get at it with Holdfast, and the files without. */
function showCommands(output: Output, manifest: BaseManifest, place: string): void {
  output.line();
  output.line(
    '  ',
    styled(
      'cyan',
      `holdfast recover --cluster ${commandWord(manifest.cluster)} --backup ${commandWord(manifest.id)} --immediate`,
    ),
    '  a copy as it was when the backup ended',
  );
  const commands = byHand(manifest, place);
  if (commands.length === 0) return;
  output.line();
  output.line('the files without Holdfast, into a new directory:');
  for (const command of commands) output.line('  ', styled('cyan', command));
}

const unpackers = { zstd: 'zstd -dc', lz4: 'lz4 -dc', gzip: 'gzip -dc', none: 'cat' } as const;

/** Only of what stock tools put together in three lines: a full backup without tablespaces. */
function byHand({ type, archives, tablespaces, backupManifest, objects }: BaseManifest, place: string): string[] {
  const [archive] = archives;
  if (type !== 'full' || tablespaces.length > 0 || archive === undefined || archives.length > 1) return [];
  const inBucket = place.startsWith('s3://');
  const local = (key: string) => shellWord(inBucket ? key.slice(key.lastIndexOf('/') + 1) : `${place}/${key}`);
  return [
    ...(inBucket ? objects.map(({ key }) => `aws s3 cp ${shellWord(`${place}/${key}`)} .`) : []),
    `mkdir -m 700 data && ${unpackers[archive.compression]} ${local(archive.key)} | tar -x -C data`,
    `${unpackers[backupManifest.compression]} ${local(backupManifest.key)} > data/backup_manifest && pg_verifybackup -n data`,
  ];
}
