import { Option, type Command } from 'commander';
import type { RecoverOptions } from '../recovering.ts';
import { refuseOwnOptions } from '../follow-up-command.ts';
import { collected, positiveInteger } from '../options.ts';
import { withExamples, type Shell } from '../shell.ts';
import { addTargetOptions } from '../target-options.ts';
import { withTemporal } from '../temporal.ts';

/** Answers the command, so that promote, go-on and the others can be added to it. */
export function addRecover(parent: Command, shell: Shell): Command {
  const command = parent
    .command('recover')
    .summary('recover a cluster to a point in time')
    .description(
      "Restores a base backup, replays the archived WAL on it up to the target, pauses there and opens it for reading. Then you say what becomes of it: promote, go-on or throw-away. By default it is a copy in a directory of its own beside the live server, which is not touched. With --in-place it takes the place of the cluster's own data directory: that needs an approval before anything is stopped, and the old data is kept until it is released. The plan is refused before anything is touched where the target lies outside of what can be recovered; 'holdfast window' shows that.\n\nA cluster that CloudNativePG runs is recovered into a new Cluster with one instance, which CloudNativePG promotes at the target: you look at it, and promote keeps it (instances and an archive of its own), throw-away deletes it.\n\nOn a terminal it goes on waiting for the decision; elsewhere it ends with exit code 9 and the run goes on waiting.",
    )
    // Not commander's requiredOption: promote and the others would require it too.
    .option('--cluster <name>', 'the cluster that is recovered (required)');
  addTargetOptions(command)
    .option('--backup <id>', 'begin with this base backup (default: the newest one that fits the target)')
    .option('--directory <path>', "a new directory on the worker's machine for the copy (default: below --instances)")
    .option('--port <number>', 'the port that the copy listens on (default: a free one)', positiveInteger)
    .addOption(
      new Option('--in-place', "in the place of the cluster's own data directory, which is put aside").conflicts([
        'directory',
        'port',
      ]),
    )
    .option(
      '--tablespace <name=directory>',
      'where a tablespace of the backup goes, a new directory; give it again for more. Beside the live server every one has to be given',
      collected,
    )
    .option(
      '--into <name>',
      'of a cluster that CloudNativePG runs: what the new Cluster is called (default: after its source)',
    )
    .option(
      '--instances <number>',
      'the same: how many it has once it is promoted (default: as its source)',
      positiveInteger,
    )
    .option('--storage-size <size>', 'the same: of its volumes, such as 20Gi (default: as its source)')
    .option('--storage-class <name>', 'the same: of its volumes (default: as its source)')
    .option('--no-wait', "only start it, and print the run's name")
    .hook('preSubcommand', refuseOwnOptions)
    .action(async (options: RecoverOptions, self: Command) => {
      const { context } = shell;
      const { output } = shell.call(self);
      if (options.cluster === undefined) self.error("error: required option '--cluster <name>' not specified");
      const { recoverArgumentOf, runRecover } = await import('../recovering.ts');
      const argument = recoverArgumentOf(options, context.userName);
      await withTemporal(context, async (temporal) => {
        shell.exitCode = await runRecover(context, output, temporal, argument, options.wait);
      });
    });
  return withExamples(command, [
    [
      "holdfast recover --cluster infra --time '2026-11-21T14:00:00+09:00'",
      'a copy as it was then, beside the live server',
    ],
    [
      'holdfast recover --cluster infra --name before-migration --port 5499',
      'up to a restore point, on a port of choice',
    ],
    [
      'holdfast recover --cluster infra --latest --in-place',
      'everything that is archived, in the place of the data directory, after approval',
    ],
    [
      "holdfast recover --cluster logto --time '2026-11-21T14:00:00+09:00' --into logto-postgres-2",
      'a cluster of CloudNativePG, into a new Cluster of that name',
    ],
    [
      'holdfast recover --cluster infra --xid 81234 --exclusive --tablespace fast=/srv/copy-fast',
      'up to just before a transaction ended',
    ],
  ]);
}
