import type { Command } from 'commander';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

export function addCancel(parent: Command, shell: Shell): void {
  const command = parent
    .command('cancel')
    .summary('end a run, taking back what it began')
    .description(
      'Asks a run to end. It stops its work, takes back what it had begun and closes; nothing half-made stays visible. A restore that has swapped its databases leaves both where they are.',
    )
    .argument('<run>', 'the run, as status lists it')
    .action(async (run: string, _options: unknown, self: Command) => {
      const { output } = shell.call(self);
      await withTemporal(shell.context, async (temporal) => {
        const { cancelRun } = await import('../../client/runs.ts');
        const { commandWord } = await import('../type-this.ts');
        await cancelRun(temporal.client, run);
        output.line(`asked ${run} to end; it takes back what it began`);
        output.line(`  holdfast status ${commandWord(run)} --follow`);
        output.document({ run, cancelRequested: true });
      });
    });
  withExamples(command, [
    ['holdfast cancel backup/jigga-daily/1a2b3c4d', 'no backup comes of it, and nothing is left over'],
  ]);
}
