import type { Command } from 'commander';
import { addFollowUp } from '../follow-up-command.ts';
import type { Shell } from '../shell.ts';

export function addRecoverThrowAway(parent: Command, shell: Shell): void {
  addFollowUp(parent, shell, {
    kind: 'recover',
    verb: 'throw-away',
    summary: 'stop what was recovered and remove it',
    description:
      'Stops what was recovered, removes its files and those of its tablespaces, and closes the run; after a recovery in place the old data is put back into its place and the server started on it. Removes what the run made and nothing else; backups and WAL stay as they are.',
    examples: [
      ["holdfast recover throw-away recover/infra/1a2b3c4d --reason 'seen enough'", 'frees the space of the copy'],
    ],
  });
}
