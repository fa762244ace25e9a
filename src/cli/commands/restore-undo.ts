import type { Command } from 'commander';
import { words } from '../options.ts';
import { withExamples, type Shell } from '../shell.ts';

interface UndoOptions {
  readonly by?: string;
  readonly reason: string;
}

export function addRestoreUndo(parent: Command, shell: Shell): void {
  const command = parent
    .command('undo')
    .summary('swap the old database back')
    .description(
      'Swaps the database that a restore put aside back into its place. What was restored is kept until it is released.',
    )
    .argument('<run>', 'the restore, as status lists it')
    .option('--by <name>', 'who asks for it; a declaration that nobody checks (default: your user name)', words)
    .requiredOption('--reason <text>', 'why', words)
    .action(async (run: string, options: UndoOptions, self: Command) => {
      const { followUp } = await import('../following-up.ts');
      await followUp(shell.context, shell.call(self).output, { verb: 'undo', run, ...options });
    });
  withExamples(command, [
    ["holdfast restore undo restore/jigga/1a2b3c4d --reason 'rows are missing'", 'the old database is live again'],
  ]);
}
