import type { Command } from 'commander';
import { planDigits, words } from '../options.ts';
import { withExamples, type Shell } from '../shell.ts';

interface RejectOptions {
  readonly plan?: string;
  readonly by?: string;
  readonly reason: string;
}

export function addReject(parent: Command, shell: Shell): void {
  const command = parent
    .command('reject')
    .summary('reject the plan that a run waits with')
    .description(
      'Rejects a plan: the run ends, and what it had made beside is dropped. Without --plan it shows the plan and asks you, at a terminal, to type its first 12 digits.',
    )
    .argument('<run>', 'the run, as status lists it')
    .option('--plan <digits>', 'the first 12 digits of the plan, or more of them', planDigits)
    .option('--by <name>', 'who decides; a declaration that nobody checks (default: your user name)', words)
    .requiredOption('--reason <text>', 'why', words)
    .action(async (run: string, options: RejectOptions, self: Command) => {
      const { decideOnPlan } = await import('../deciding.ts');
      await decideOnPlan(shell.context, shell.call(self).output, { verb: 'reject', run, ...options });
    });
  withExamples(command, [
    [
      "holdfast reject restore/jigga/1a2b3c4d --plan a1b2c3d4e5f6 --reason 'not during business hours'",
      'the run ends, nothing of the live database was changed',
    ],
    ["holdfast reject restore/jigga/1a2b3c4d --reason 'not during business hours'", 'shows the plan first, and asks'],
  ]);
}
