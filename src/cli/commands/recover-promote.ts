import type { Command } from 'commander';
import { addFollowUp } from '../follow-up-command.ts';
import type { Shell } from '../shell.ts';

export function addRecoverPromote(parent: Command, shell: Shell): void {
  addFollowUp(parent, shell, {
    kind: 'recover',
    verb: 'promote',
    summary: 'end the recovery here: it takes writes from now on',
    description:
      'Ends the recovery at the place that it waits at: PostgreSQL begins a new timeline and takes writes. After this there is no going on to a later target. It never archives into the archive of the cluster that it was recovered from.',
    examples: [["holdfast recover promote recover/infra/1a2b3c4d --reason 'the rows are there'", 'it takes writes']],
  });
}
