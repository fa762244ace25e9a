import type { Command } from 'commander';
import { addFollowUp } from '../follow-up-command.ts';
import type { Shell } from '../shell.ts';

export function addRestoreRelease(parent: Command, shell: Shell): void {
  addFollowUp(parent, shell, {
    kind: 'restore',
    verb: 'release',
    summary: 'drop the database that a restore put aside',
    description: 'Drops the database that a restore put aside, and closes the run. After this there is no way back.',
    examples: [
      [
        "holdfast restore release restore/jigga/1a2b3c4d --reason 'the application is well'",
        'frees the space of the old database',
      ],
    ],
  });
}
