import type { CnpgWindow } from './cnpg-windows.ts';
import type { Output, Row } from './output.ts';
import { styled } from './spans.ts';
import { formatAge, formatUtcMinute } from './times.ts';

/** What CloudNativePG says of the clusters that it backs up, one a line; nothing where there are none. */
export function showCnpgClusters(output: Output, found: readonly CnpgWindow[], nowMs: number): void {
  if (found.length === 0) return;
  output.line();
  output.table(
    ['BY CLOUDNATIVEPG', 'RECOVERABLE SINCE', 'LAST GOOD BACKUP', 'WAL ARCHIVING'],
    found.map((one) => rowOf(one, nowMs)),
  );
  for (const one of found)
    if ('error' in one) output.warn(`what Cluster ${one.place} says of itself can't be read: ${one.error.message}`);
}

function rowOf(found: CnpgWindow, nowMs: number): Row {
  if ('error' in found) return [found.cluster, styled('dim', 'not known'), '', ''];
  const { cluster, since, lastBackupAt, archiving } = found;
  return [
    cluster,
    since === null ? styled('red', 'NEVER') : formatUtcMinute(new Date(since)),
    lastBackupAt === null ? styled('red', 'NONE') : `${formatAge(new Date(lastBackupAt), nowMs)} ago`,
    archiving === null
      ? styled('dim', 'not known')
      : archiving.works
        ? styled('green', 'works')
        : styled('red', 'FAILS'),
  ];
}
