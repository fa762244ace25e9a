import { renderWindow } from '../domain/render-window.ts';
import { describeWay } from '../kubernetes/cnpg/ways.ts';
import type { CnpgWindow } from './cnpg-windows.ts';
import { reported } from './command-error.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import { formatAge, formatUtc } from './times.ts';
import type { ClusterWindow, Windows } from './windows.ts';

/** Text, drawing and advice of each cluster, as wide as a terminal of 80 columns. */
export function showWindows(
  output: Output,
  { clusters, unreachable }: Windows,
  byCnpg: readonly CnpgWindow[],
  now: Date,
): void {
  if (clusters.length + unreachable.length + byCnpg.length === 0)
    output.line(
      'no cluster has a WAL archive or a policy with method base or cnpg, so none can be recovered to a point in time',
    );
  for (const [index, found] of clusters.entries()) {
    if (index > 0) output.line();
    output.block(renderWindow(found.windows, now));
    showTrouble(output, found);
    if (found.advice.length > 0) output.line();
    for (const sentence of found.advice) output.line(styled('yellow', 'to do: '), sentence);
  }
  for (const [index, found] of byCnpg.entries()) {
    if (index + clusters.length > 0) output.line();
    showCnpgWindow(output, found, now);
  }
  for (const { error } of unreachable) if (!output.json) output.error(reported(error));
}

function showCnpgWindow(output: Output, found: CnpgWindow, now: Date): void {
  output.line(styled('bold', found.cluster), `  by CloudNativePG, Cluster ${found.place}`);
  if ('error' in found) {
    output.warn(`what it says of itself can't be read: ${found.error.message}; ${found.error.hint}`);
    return;
  }
  const { way, since, lastBackupAt, archiving } = found;
  if (way === null) output.line(styled('red', '  not set up for backups'));
  else {
    const told = (at: string) => `${formatUtc(new Date(at))} (${formatAge(new Date(at), now.getTime())} ago)`;
    output.line('  taken by           ', describeWay(way));
    output.line('  recoverable since  ', since === null ? styled('red', 'no moment yet') : told(since));
    output.line('  last good backup   ', lastBackupAt === null ? styled('red', 'none') : told(lastBackupAt));
  }
  if (archiving === null) return;
  output.line(
    '  WAL archiving      ',
    archiving.works ? styled('green', 'works') : styled('red', `fails: ${archiving.message ?? 'no reason given'}`),
  );
}

function showTrouble(output: Output, { unreadable, damaged }: ClusterWindow): void {
  for (const { repository, error } of damaged)
    output.warn(`the WAL archive in repository ${repository} can't be read: ${error.message}; ${error.hint}`);
  for (const { repository, manifestKey, reason } of unreadable)
    output.warn(`manifest ${manifestKey} in repository ${repository} can't be read: ${reason}`);
}

export const windowsDocument = ({ clusters, unreachable }: Windows, byCnpg: readonly CnpgWindow[]) => ({
  clusters: clusters.map(({ windows, advice, unreadable, damaged }) => ({
    ...windows,
    recoverable: windows.systems.some((system) => system.windows.length > 0),
    advice,
    unreadable,
    damaged: damaged.map(({ repository, error }) => ({ repository, ...errorDocument(error) })),
  })),
  cnpg: cnpgDocument(byCnpg),
  unreachable: unreachable.map(({ cluster, repository, error }) => ({ cluster, repository, ...errorDocument(error) })),
});

export const cnpgDocument = (byCnpg: readonly CnpgWindow[]) =>
  byCnpg.map((found) => ('error' in found ? { ...found, error: errorDocument(found.error) } : found));

const errorDocument = (error: Windows['unreachable'][number]['error']) => ({
  type: error.type,
  message: error.message,
  hint: error.hint,
});
