import { renderWindow } from '../domain/render-window.ts';
import { reported } from './command-error.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import type { ClusterWindow, Windows } from './windows.ts';

/** Text, drawing and advice of each cluster, as wide as a terminal of 80 columns. */
export function showWindows(output: Output, { clusters, unreachable }: Windows, now: Date): void {
  if (clusters.length + unreachable.length === 0)
    output.line(
      'no cluster has a WAL archive or a policy with method: base, so none can be recovered to a point in time',
    );
  for (const [index, found] of clusters.entries()) {
    if (index > 0) output.line();
    output.block(renderWindow(found.windows, now));
    showTrouble(output, found);
    if (found.advice.length > 0) output.line();
    for (const sentence of found.advice) output.line(styled('yellow', 'to do: '), sentence);
  }
  for (const { error } of unreachable) if (!output.json) output.error(reported(error));
}

function showTrouble(output: Output, { unreadable, damaged }: ClusterWindow): void {
  for (const { repository, error } of damaged)
    output.warn(`the WAL archive in repository ${repository} can't be read: ${error.message}; ${error.hint}`);
  for (const { repository, manifestKey, reason } of unreadable)
    output.warn(`manifest ${manifestKey} in repository ${repository} can't be read: ${reason}`);
}

export const windowsDocument = ({ clusters, unreachable }: Windows) => ({
  clusters: clusters.map(({ windows, advice, unreadable, damaged }) => ({
    ...windows,
    recoverable: windows.systems.some((system) => system.windows.length > 0),
    advice,
    unreadable,
    damaged: damaged.map(({ repository, error }) => ({ repository, ...errorDocument(error) })),
  })),
  unreachable: unreachable.map(({ cluster, repository, error }) => ({ cluster, repository, ...errorDocument(error) })),
});

const errorDocument = (error: Windows['unreachable'][number]['error']) => ({
  type: error.type,
  message: error.message,
  hint: error.hint,
});
