import type { Command } from 'commander';
import { words } from '../options.ts';
import { withExamples, type Shell } from '../shell.ts';

interface ReleaseOptions {
  readonly by?: string;
  readonly reason: string;
}

export function addRestoreRelease(parent: Command, shell: Shell): void {
  const command = parent
    .command('release')
    .summary('drop the database that a restore put aside')
    .description('Drops the database that a restore put aside, and closes the run. After this there is no way back.')
    .argument('<run>', 'the restore, as status lists it')
    .option('--by <name>', 'who asks for it; a declaration that nobody checks (default: your user name)', words)
    .requiredOption('--reason <text>', 'why', words)
    .action(async (run: string, options: ReleaseOptions, self: Command) => {
      const { followUp } = await import('../following-up.ts');
      await followUp(shell.context, shell.call(self).output, { verb: 'release', run, ...options });
    });
  withExamples(command, [
    [
      "holdfast restore release restore/jigga/1a2b3c4d --reason 'the application is well'",
      'frees the space of the old database',
    ],
  ]);
}
