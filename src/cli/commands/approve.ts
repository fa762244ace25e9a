import type { Command } from 'commander';
import { planDigits, words } from '../options.ts';
import { withExamples, type Shell } from '../shell.ts';

interface ApproveOptions {
  readonly plan?: string;
  readonly by?: string;
  readonly reason: string;
}

export function addApprove(parent: Command, shell: Shell): void {
  const command = parent
    .command('approve')
    .summary('approve the plan that a run waits with')
    .description(
      'Approves exactly one plan, and hears at once whether that was taken. Without --plan it shows the plan and asks you, at a terminal, to type its first 12 digits.',
    )
    .argument('<run>', 'the run, as status lists it')
    .option('--plan <digits>', 'the first 12 digits of the plan, or more of them', planDigits)
    .option('--by <name>', 'who decides; a declaration that nobody checks (default: your user name)', words)
    .requiredOption('--reason <text>', 'why', words)
    .action(async (run: string, options: ApproveOptions, self: Command) => {
      const { decideOnPlan } = await import('../deciding.ts');
      await decideOnPlan(shell.context, shell.call(self).output, { verb: 'approve', run, ...options });
    });
  withExamples(command, [
    [
      "holdfast approve restore/jigga/1a2b3c4d --plan a1b2c3d4e5f6 --reason 'the report is clean'",
      'approves that plan and no other',
    ],
    ["holdfast approve restore/jigga/1a2b3c4d --reason 'the report is clean'", 'shows the plan first, and asks'],
  ]);
}
