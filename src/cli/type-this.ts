import { shellWord } from '../domain/format.ts';
import { shortDigest } from '../domain/plan.ts';
import type { Progress } from '../domain/run.ts';

/** Commands for a person to type next. */

/** As it is where a shell leaves it alone, quoted otherwise. */
export const commandWord = (text: string): string =>
  /^[A-Za-z0-9_][A-Za-z0-9_./:@-]*$/.test(text) ? text : shellWord(text);

const decisionCommands = (run: string, digest: string): string[] => [
  `holdfast approve ${commandWord(run)} --plan ${shortDigest(digest)} --reason 'checked the report'`,
  `holdfast reject ${commandWord(run)} --plan ${shortDigest(digest)} --reason 'not now'`,
];

/** @param undone the old database is back already: what was restored can only be dropped */
const followUpCommands = (run: string, undone: boolean): string[] => [
  `holdfast restore release ${commandWord(run)} --reason 'the application is well'`,
  ...(undone ? [] : [`holdfast restore undo ${commandWord(run)} --reason 'swap the old database back'`]),
];

export const isUndone = (progress: Progress): boolean =>
  progress.steps.some(({ name, status }) => name === 'undo' && status === 'done');

/** What a person is asked for right now, as commands; empty: nothing. */
export function commandsFor(run: string, progress: Progress): string[] {
  switch (progress.waitingFor) {
    case 'decision':
      return progress.planDigest === null ? [] : decisionCommands(run, progress.planDigest);
    case 'follow-up':
      return followUpCommands(run, isUndone(progress));
    case null:
      return [];
  }
}
