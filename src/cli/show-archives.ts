import { formatBytes, formatSeconds } from '../domain/format.ts';
import { inline } from './markdown.ts';
import type { Archiving } from './moving.ts';
import type { Output, Row } from './output.ts';
import { styled, type Span } from './spans.ts';
import type { ArchiveState } from './survey.ts';
import { commandWord } from './type-this.ts';

/** How far the WAL archives are, and which of them nobody looks after. */
export function showArchives(output: Output, archives: readonly ArchiveState[]): void {
  if (archives.length === 0) return;
  output.line();
  output.table(['CLUSTER', 'WAL ARCHIVED TO', 'BEHIND', 'SERVER KEEPS', 'STATE'], archives.map(archiveRow));
  for (const state of archives) {
    const { cluster, run, archiving } = state;
    if (run === null) {
      output.line(styled('red', `WAL of cluster ${cluster} is not archived`), ": 'holdfast apply' starts that");
      continue;
    }
    const trouble = troubleOf(state);
    if (trouble !== undefined)
      output.line(
        styled('yellow', `WAL of cluster ${cluster}: `),
        ...inline(trouble),
        '; it is tried again without end. ',
        styled('cyan', `holdfast status ${commandWord(run)}`),
      );
    for (const warning of archiving?.warnings ?? []) output.warn(`WAL of cluster ${cluster}: ${warning}`);
  }
}

/** Why nothing is streamed, as the run tells it; undefined: it is, or nothing is known. */
function troubleOf({ archiving, standing }: ArchiveState): string | undefined {
  if (archiving?.failure !== undefined) return archiving.failure;
  const [first = ''] = standing?.split('\n') ?? [];
  if (first.startsWith('**')) return first;
  return archiving === undefined ? 'nothing is streamed right now' : undefined;
}

function archiveRow(state: ArchiveState): Row {
  const { cluster, run, archiving } = state;
  if (run === null) return [cluster, '', '', '', styled('red', 'NOT RUNNING')];
  return [
    cluster,
    archiving?.archivedLsn ?? '',
    archiving === undefined ? '' : behind(archiving),
    retention(archiving),
    stateOf(state),
  ];
}

function stateOf(state: ArchiveState): Span {
  if (troubleOf(state) !== undefined) return styled('yellow', 'NOT STREAMING');
  return state.archiving?.doing ?? 'starting';
}

/** "4.2 MB, 12 s" */
function behind({ lagBytes, lagSeconds }: Archiving): string {
  const parts = [
    ...(lagBytes === undefined ? [] : [formatBytes(lagBytes)]),
    ...(lagSeconds === undefined ? [] : [formatSeconds(lagSeconds)]),
  ];
  return parts.join(', ');
}

const retention = (archiving: Archiving | undefined): string =>
  archiving?.retentionLeftBytes === undefined ? '' : `${formatBytes(archiving.retentionLeftBytes)} more`;

/** The same of one archive, a line each. */
export function archivingLines(archiving: Archiving): string[] {
  const { archivedLsn, doing, failure } = archiving;
  const lag = behind(archiving);
  return [
    ...(doing === undefined ? [] : [`doing: ${doing}`]),
    ...(archivedLsn === undefined
      ? []
      : [`archived to ${archivedLsn}${lag === '' ? '' : `, ${lag} behind the server`}`]),
    ...(archiving.retentionLeftBytes === undefined
      ? []
      : [`the server keeps ${retention(archiving)} for the slot before it gives it up`]),
    ...(failure === undefined ? [] : [`the last attempt failed: ${failure}; it goes on trying`]),
    ...archiving.warnings.map((warning) => `warning: ${warning}`),
  ];
}

export const archivingDocument = ({ archivedLsn, lagBytes, lagSeconds, retentionLeftBytes, ...rest }: Archiving) => ({
  doing: rest.doing ?? null,
  archivedLsn: archivedLsn ?? null,
  lagBytes: lagBytes ?? null,
  lagSeconds: lagSeconds ?? null,
  retentionLeftBytes: retentionLeftBytes ?? null,
  failure: rest.failure ?? null,
  warnings: rest.warnings,
});
