import type { Command } from 'commander';
import { addFollowUp } from '../follow-up-command.ts';
import type { Shell } from '../shell.ts';

export function addRestoreUndo(parent: Command, shell: Shell): void {
  addFollowUp(parent, shell, {
    kind: 'restore',
    verb: 'undo',
    summary: 'swap the old database back',
    description:
      'Swaps the database that a restore put aside back into its place. What was restored is kept until it is released.',
    examples: [
      ["holdfast restore undo restore/jigga/1a2b3c4d --reason 'rows are missing'", 'the old database is live again'],
    ],
  });
}
