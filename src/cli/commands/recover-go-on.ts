import type { Command } from 'commander';
import { addFollowUp } from '../follow-up-command.ts';
import type { Shell } from '../shell.ts';

export function addRecoverGoOn(parent: Command, shell: Shell): void {
  addFollowUp(parent, shell, {
    kind: 'recover',
    verb: 'go-on',
    summary: 'replay on to a later target',
    description:
      'Replays from the place that a recovery waits at to a later one, and waits there. A target before that place is refused: log is replayed forwards only.',
    examples: [
      [
        "holdfast recover go-on recover/infra/1a2b3c4d --time '2026-11-21T14:05:00+09:00' --reason 'too early'",
        'five minutes more',
      ],
      ["holdfast recover go-on recover/infra/1a2b3c4d --latest --reason 'too early'", 'to the end of the archive'],
    ],
  });
}
