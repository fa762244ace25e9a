import type { Progress } from '../domain/run.ts';
import { showMarkdown } from './markdown.ts';
import type { Output } from './output.ts';

/** What the run says of where it stands: of a recovery what was asked and reached, and how to look at it. */
export function showStanding(output: Output, progress: Progress): void {
  const standing = standingOf(progress);
  if (standing !== null) showMarkdown(output, standing, '  ');
}

/** Markdown; null: nothing. Runs of an older worker say it in the note of a step only. */
export function standingOf({ standing, workflow, steps }: Progress): string | null {
  if (standing !== undefined && standing !== null && standing !== '') return standing;
  if (workflow !== 'recover') return null;
  const last = steps.findLast(({ name, status, note }) => status === 'done' && note !== null && name !== 'record');
  return last?.note?.replaceAll('; ', '\n') ?? null;
}
