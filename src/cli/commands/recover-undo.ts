import type { Command } from 'commander';
import { addFollowUp } from '../follow-up-command.ts';
import type { Shell } from '../shell.ts';

export function addRecoverUndo(parent: Command, shell: Shell): void {
  addFollowUp(parent, shell, {
    kind: 'recover',
    verb: 'undo',
    summary: 'put the old data of a recovery in place back',
    description:
      'Stops the recovered server and puts the data directory and tablespaces that a recovery in place put aside back into their places, starts the server on them, and closes the run. What was written since the promotion is gone.',
    examples: [
      ["holdfast recover undo recover/infra/1a2b3c4d --reason 'rows are missing'", 'the old server runs again'],
    ],
  });
}
