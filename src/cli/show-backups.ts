import { formatBytes, formatCount, formatSeconds, shellWord } from '../domain/format.ts';
import { isArchive, totalBytes, type Manifest } from '../domain/manifest.ts';
import type { Catalogs, Located, LocatedDump } from './catalogs.ts';
import { showBases } from './show-bases.ts';
import { outcomeSpan, showFacts, type Facts } from './show-facts.ts';
import type { Output, Row } from './output.ts';
import { styled, type Span } from './spans.ts';
import { formatAge, formatUtc } from './times.ts';
import { commandWord } from './type-this.ts';

/** Newest first, cluster by cluster; what can't be read at the end. */
export function showBackups(output: Output, catalogs: Catalogs, nowMs: number): void {
  const severalRepositories = new Set(catalogs.backups.map(({ repository }) => repository)).size > 1;
  const head = ['ID', 'CLUSTER', 'POLICY', 'AGE', 'SIZE', 'DATABASES', 'STATUS', 'VERIFIED', 'DRILL'];
  const rows = catalogs.backups.map(({ repository, backup }): Row => {
    const { manifest } = backup;
    return [
      manifest.id,
      manifest.cluster,
      manifest.policy,
      formatAge(new Date(manifest.startedAt), nowMs),
      formatBytes(totalBytes(manifest)),
      databaseCount(manifest),
      statusSpan(manifest.status),
      outcomeSpan(backup.verification),
      outcomeSpan(backup.drill),
      ...(severalRepositories ? [repository] : []),
    ];
  });
  if (rows.length > 0) output.table(severalRepositories ? [...head, 'REPOSITORY'] : head, rows);
  if (catalogs.bases.length > 0) {
    if (rows.length > 0) output.line();
    showBases(output, catalogs.bases, nowMs);
  }
  for (const { repository, manifestKey, reason } of catalogs.unreadable)
    output.warn(`manifest ${manifestKey} in repository ${repository} can't be read: ${reason}`);
}

/** Dumps that nobody vouches for, and what to type about them. */
export function showForeign(output: Output, dumps: readonly LocatedDump[], nowMs: number): void {
  const [first] = dumps;
  if (first === undefined) return;
  output.line();
  output.line('made by something else, and not in the catalog:');
  output.table(
    ['DUMP', 'CLUSTER', 'POLICY', 'AGE', 'SIZE', 'FILE'],
    dumps.map(({ dump, cluster, adopt }): Row => [
      dump.id,
      cluster,
      adopt.policy,
      formatAge(dump.modifiedAt, nowMs),
      formatBytes(dump.bytes),
      dump.key,
    ]),
  );
  output.line(
    '  ',
    styled('cyan', `holdfast backups survey ${commandWord(first.dump.id)}`),
    '  reads it and says what is in it',
  );
}

export const foreignDocument = ({ dump, cluster, adopt }: LocatedDump) => ({
  id: dump.id,
  cluster,
  policy: adopt.policy,
  repository: adopt.repository.name,
  file: dump.key,
  bytes: dump.bytes,
  modifiedAt: dump.modifiedAt.toISOString(),
});

export function backupDocument({ repository, backup }: Located) {
  const { manifest, manifestKey, verification, drill } = backup;
  const { id, cluster, policy, method, status, startedAt, finishedAt } = manifest;
  return {
    id,
    cluster,
    policy,
    method,
    repository,
    status,
    verification,
    drill,
    startedAt,
    finishedAt,
    bytes: totalBytes(manifest),
    databases: manifest.databases.map((database) => ({
      name: database.name,
      status: database.status,
      reason: database.reason,
    })),
    manifest: manifestKey,
  };
}

function databaseCount({ databases }: Manifest): Span[] {
  const count = (wanted: string) => databases.filter(({ status }) => status === wanted).length;
  const failed = count('failed');
  return [String(count('dumped')), ...(failed === 0 ? [] : [styled('red', `, ${String(failed)} FAILED`)])];
}

const statusSpan = (status: Manifest['status']): Span => (status === 'complete' ? status : styled('yellow', 'PARTIAL'));

/** One backup, and how to read it without Holdfast. */
export function showBackup(output: Output, located: Located, nowMs: number, place: string): void {
  const { manifest, manifestKey, verification, drill } = located.backup;
  const facts: Facts = [
    ['cluster', manifest.cluster],
    ['policy', `${manifest.policy} (${manifest.method})`],
    ['status', statusSpan(manifest.status)],
    ['verified', outcomeSpan(verification)],
    ['drill', outcomeSpan(drill)],
    [
      'taken',
      `${formatUtc(new Date(manifest.startedAt))}, ${formatAge(new Date(manifest.startedAt), nowMs)} ago, in ${formatSeconds((Date.parse(manifest.finishedAt) - Date.parse(manifest.startedAt)) / 1000)}`,
    ],
    [
      'server',
      `PostgreSQL ${manifest.server.version}, system ${manifest.server.systemIdentifier}, timeline ${String(manifest.server.timeline)}${manifest.server.inRecovery ? ', a standby' : ''}`,
    ],
    [
      'tools',
      Object.entries(manifest.tools)
        .map(([tool, version]) => `${tool} ${version}`)
        .join(', '),
    ],
    ...(manifest.origin === undefined
      ? []
      : [['origin', `adopted by ${manifest.origin.by}: ${manifest.origin.reason}`] as [string, string]]),
    ['run', manifest.run.workflowId],
    ['repository', `${located.repository}, ${place}`],
    ['manifest', manifestKey],
    ...manifest.objects.map(({ key, bytes, sha256 }): [string, string] => [
      'file',
      `${key}, ${formatBytes(bytes)}, sha-256 ${sha256}`,
    ]),
  ];
  output.line(styled('bold', manifest.id));
  showFacts(output, facts);
  output.line();
  output.table(
    ['DATABASE', 'STATUS', 'SIZE', 'TABLES', 'ROWS', 'EXTENSIONS'],
    manifest.databases.map(databaseRow),
    '  ',
  );
  for (const { name, status, reason } of manifest.databases)
    if (reason !== null)
      output.line('  ', styled(status === 'failed' ? 'red' : 'dim', `'${name}' was ${status}`), `: ${reason}`);
  const commands = byHand(manifest, place);
  if (commands.length === 0) return;
  output.line();
  output.line('without Holdfast, into an empty cluster:');
  for (const command of commands) output.line('  ', styled('cyan', command));
}

/** With stock tools alone; what lies in a bucket is fetched first. */
function byHand({ objects, parts }: Manifest, place: string): string[] {
  const local = (key: string) =>
    shellWord(place.startsWith('s3://') ? key.slice(key.lastIndexOf('/') + 1) : `${place}/${key}`);
  const fetch = place.startsWith('s3://')
    ? objects.slice(0, handAtMost).map(({ key }) => `aws s3 cp ${shellWord(`${place}/${key}`)} .`)
    : [];
  const scripts = objects
    .filter(({ key }) => /\.sql(\.gz|\.zst)?$/.test(key))
    .map(
      ({ key }) =>
        `${key.endsWith('.zst') ? 'zstdcat' : key.endsWith('.gz') ? 'zcat' : 'cat'} ${local(key)} | psql -X -d postgres`,
    );
  const archives = parts.flatMap(({ format, object, database = 'postgres' }) => {
    const name = shellWord(database);
    if (!isArchive({ format })) return [];
    if (format === 'directory-tar')
      return [`mkdir archive && tar -xf ${local(object)} -C archive && pg_restore -j 2 -d ${name} archive`];
    const file = format === 'directory' ? local(object.slice(0, object.lastIndexOf('/'))) : local(object);
    return [`pg_restore${format === 'tar' ? '' : ' -j 2'} -d ${name} ${file}`];
  });
  return [...fetch, ...scripts, ...archives].slice(0, handAtMost);
}

const handAtMost = 20;

function databaseRow({ name, status, bytes, tables, extensions }: Manifest['databases'][number]): Row {
  const counted = tables.every(([, , rows]) => rows !== null);
  const rows = tables.reduce((sum, [, , count]) => sum + (count ?? 0), 0);
  const dumped = status === 'dumped';
  return [
    name,
    status === 'failed' ? styled('red', 'FAILED') : status,
    formatBytes(bytes),
    dumped ? String(tables.length) : '',
    dumped ? (counted ? formatCount(rows, 'row') : 'not counted') : '',
    extensions.map((extension) => `${extension.name} ${extension.version}`).join(', '),
  ];
}
