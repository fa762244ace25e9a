import type { Command } from 'commander';
import { addFollowUp } from '../follow-up-command.ts';
import type { Shell } from '../shell.ts';

export function addRecoverRelease(parent: Command, shell: Shell): void {
  addFollowUp(parent, shell, {
    kind: 'recover',
    verb: 'release',
    summary: 'remove the data that a recovery in place put aside',
    description:
      'Removes the data directory and tablespaces that a recovery in place put aside, and closes the run. After this there is no way back.',
    examples: [
      [
        "holdfast recover release recover/infra/1a2b3c4d --reason 'the application is well'",
        'frees the space of the old data',
      ],
    ],
  });
}
