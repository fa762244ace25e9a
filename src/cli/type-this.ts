import { shellWord } from '../domain/format.ts';
import { shortDigest } from '../domain/plan.ts';
import type { FollowUpVerb } from '../domain/decision.ts';
import type { Progress } from '../domain/run.ts';

/** Commands for a person to type next. */

/** As it is where a shell leaves it alone, quoted otherwise. */
export const commandWord = (text: string): string =>
  /^[A-Za-z0-9_][A-Za-z0-9_./:@-]*$/.test(text) ? text : shellWord(text);

const decisionCommands = (run: string, digest: string): string[] => [
  `holdfast approve ${commandWord(run)} --plan ${shortDigest(digest)} --reason 'checked the report'`,
  `holdfast reject ${commandWord(run)} --plan ${shortDigest(digest)} --reason 'not now'`,
];

const followUpCommand: Readonly<Record<FollowUpVerb, (run: string, workflow: string) => string>> = {
  release: (run) => `release ${run} --reason 'the application is well'`,
  undo: (run, workflow) => `undo ${run} --reason 'swap the old ${workflow === 'restore' ? 'database' : 'data'} back'`,
  promote: (run) => `promote ${run} --reason 'the rows are there'`,
  'go-on': (run) => `go-on ${run} --time '2026-11-21T14:05:00Z' --reason 'too early'`,
  'throw-away': (run) => `throw-away ${run} --reason 'seen enough'`,
};

/** "release or undo" */
export const inWords = (verbs: readonly string[]): string =>
  [verbs.slice(0, -1).join(', '), ...verbs.slice(-1)].filter((part) => part !== '').join(' or ');

/** What a person is asked for right now, as commands; empty: nothing. */
export function commandsFor(run: string, progress: Progress): string[] {
  switch (progress.waitingFor) {
    case 'decision':
      return progress.planDigest === null ? [] : decisionCommands(run, progress.planDigest);
    case 'follow-up':
      return progress.followUps.map(
        (verb) => `holdfast ${progress.workflow} ${followUpCommand[verb](commandWord(run), progress.workflow)}`,
      );
    case null:
      return [];
  }
}
