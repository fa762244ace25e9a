import type { Backup } from '../domain/catalog.ts';
import { formatBytes, formatCount, formatSeconds, shellWord } from '../domain/format.ts';
import { totalBytes, type Manifest } from '../domain/manifest.ts';
import type { Catalogs, Located } from './catalogs.ts';
import type { Output, Row } from './output.ts';
import { styled, type Span } from './spans.ts';
import { formatAge, formatUtc } from './times.ts';

/** Newest first, cluster by cluster; what can't be read at the end. */
export function showBackups(output: Output, catalogs: Catalogs, nowMs: number): void {
  const severalRepositories = new Set(catalogs.backups.map(({ repository }) => repository)).size > 1;
  const head = ['ID', 'CLUSTER', 'POLICY', 'AGE', 'SIZE', 'DATABASES', 'STATUS', 'VERIFIED'];
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
      verificationSpan(backup.verification),
      ...(severalRepositories ? [repository] : []),
    ];
  });
  if (rows.length > 0) output.table(severalRepositories ? [...head, 'REPOSITORY'] : head, rows);
  for (const { repository, manifestKey, reason } of catalogs.unreadable)
    output.warn(`manifest ${manifestKey} in repository ${repository} can't be read: ${reason}`);
}

export function backupDocument({ repository, backup }: Located) {
  const { manifest, manifestKey, verification } = backup;
  const { id, cluster, policy, status, startedAt, finishedAt } = manifest;
  return {
    id,
    cluster,
    policy,
    repository,
    status,
    verification,
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

function verificationSpan(verification: Backup['verification']): Span {
  switch (verification) {
    case 'passed':
      return styled('green', 'passed');
    case 'failed':
      return styled('red', 'FAILED');
    case 'none':
      return styled('dim', 'not yet');
  }
}

/** One backup, and how to read it without Holdfast. */
export function showBackup(output: Output, located: Located, nowMs: number, directory: string): void {
  const { manifest, manifestKey, verification } = located.backup;
  const facts: [string, Span | readonly Span[]][] = [
    ['cluster', manifest.cluster],
    ['policy', `${manifest.policy} (${manifest.method})`],
    ['status', statusSpan(manifest.status)],
    ['verified', verificationSpan(verification)],
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
    ['run', manifest.run.workflowId],
    ['repository', `${located.repository}, ${directory}`],
    ['manifest', manifestKey],
    ...manifest.objects.map(({ key, bytes, sha256 }): [string, string] => [
      'file',
      `${key}, ${formatBytes(bytes)}, sha-256 ${sha256}`,
    ]),
  ];
  output.line(styled('bold', manifest.id));
  for (const [name, value] of facts)
    output.line(
      styled('dim', `  ${name.padEnd(11)}`),
      ...(typeof value === 'string' || 'style' in value ? [value] : value),
    );
  output.line();
  output.table(
    ['DATABASE', 'STATUS', 'SIZE', 'TABLES', 'ROWS', 'EXTENSIONS'],
    manifest.databases.map(databaseRow),
    '  ',
  );
  for (const { name, status, reason } of manifest.databases)
    if (reason !== null)
      output.line('  ', styled(status === 'failed' ? 'red' : 'dim', `'${name}' was ${status}`), `: ${reason}`);
  const [object] = manifest.objects;
  if (!object) return;
  const reader = object.key.endsWith('.zst') ? 'zstdcat' : 'zcat';
  output.line();
  output.line('without Holdfast, into an empty cluster:');
  output.line('  ', styled('cyan', `${reader} ${shellWord(`${directory}/${object.key}`)} | psql -X -d postgres`));
}

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
