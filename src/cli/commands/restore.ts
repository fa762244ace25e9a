import { Option, type Command } from 'commander';
import type { RestoreOptions } from '../restoring.ts';
import { refuseOwnOptions } from '../follow-up-command.ts';
import { collected } from '../options.ts';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

/** Answers the command, so that undo and release can be added to it. */
export function addRestore(parent: Command, shell: Shell): Command {
  const command = parent
    .command('restore')
    .summary('restore a database, or a whole cluster, from a backup')
    .description(
      'Restores one database beside the live one, verifies it against the backup and shows a plan; once that is approved the copy takes the place of the live one, which is kept until it is released. With --into it restores under a free name and swaps nothing. With --table or --schema it brings back these alone, into a new database or into a new schema of the live one. Without --database it restores the whole cluster into an empty one. Nothing of a live database changes before the swap.\n\nOn a terminal it goes on waiting for the decision; elsewhere it ends with exit code 9 and the run goes on waiting.',
    )
    // Not commander's requiredOption: undo and release would require it too.
    .option('--cluster <name>', 'the cluster whose backup is restored (required)')
    .option('--backup <id>', "id of the backup, or 'latest'", 'latest')
    .option('--database <name>', 'restore this database only')
    .option('--into <name>', 'restore it under this name, which must be free, and swap nothing')
    .option(
      '--table <schema.table>',
      'of the database, only this table with its rows; give it again for more. With --into or --into-schema',
      collected,
    )
    .option('--schema <name>', 'of the database, only this schema with its rows; give it again for more', collected)
    .option('--into-schema <name>', 'put what --table and --schema name into this new schema of the live database')
    .option(
      '--foreign',
      'the backup may be a dump that is not in the catalog: it is read whole first, and the plan needs approval',
    )
    .addOption(
      new Option(
        '--allow <what>',
        "with --foreign: what of the dump may run though a dump doesn't usually hold it: server-side, unexpected, flawed-tools; give it again for more",
      ).argParser(collected),
    )
    .option('--onto <cluster>', 'restore onto this cluster of the configuration, instead of the one the backup is of')
    .addOption(
      new Option(
        '--properties <from>',
        "whose owner, privileges, settings and comment the database gets: the live database's, or the backup's",
      )
        .choices(['live', 'backup'])
        .default('live'),
    )
    .addOption(
      new Option('--missing-roles <action>', 'what to do about roles that the target lacks')
        .choices(['fail', 'create'])
        .default('fail'),
    )
    .option('--no-wait', "only start it, and print the run's name")
    .hook('preSubcommand', refuseOwnOptions)
    .action(async (options: RestoreOptions, self: Command) => {
      const { context } = shell;
      const { output } = shell.call(self);
      if (options.cluster === undefined) self.error("error: required option '--cluster <name>' not specified");
      const { restoreArgumentOf, runRestore } = await import('../restoring.ts');
      const argument = restoreArgumentOf(options, context.userName);
      await withTemporal(context, async (temporal) => {
        shell.exitCode = await runRestore(context, output, temporal, argument, options.wait);
      });
    });
  return withExamples(command, [
    ['holdfast restore --cluster jigga --database gatus', 'the newest backup of gatus, swapped in after approval'],
    ['holdfast restore --cluster jigga --database gatus --into gatus_check', 'beside it, to look at; swaps nothing'],
    [
      'holdfast restore --cluster jigga --database app --table public.orders --into-schema rescued',
      'one table, into a new schema of the live database',
    ],
    [
      'holdfast restore --cluster jigga --backup postgres-backup-20261121-020000 --onto spare',
      'a whole cluster into an empty one',
    ],
  ]);
}
