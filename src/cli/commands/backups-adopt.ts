import { Option, type Command } from 'commander';
import { collected } from '../options.ts';
import { withTemporal } from '../temporal.ts';
import { withExamples, type Shell } from '../shell.ts';

interface AdoptOptions {
  readonly policy: string;
  readonly reason: string;
  readonly by?: string;
  readonly database?: string;
  readonly allow?: readonly string[];
  readonly wait: boolean;
}

export function addBackupsAdopt(parent: Command, shell: Shell): void {
  const command = parent
    .command('adopt')
    .summary('put a dump that something else made into the catalog')
    .description(
      "A worker reads the whole dump: that it is complete, which databases and how many rows it holds, and that nothing in it runs anything but a dump's own SQL. Then it writes a manifest beside it. From then on it is a backup of the policy like any other: the policy's retention counts and may delete it, and 'latest' may mean it. The file itself stays as it is.",
    )
    .argument('<dump>', "the dump, as 'holdfast backups list' shows it, or the name of its file")
    .requiredOption('--policy <name>', "the policy that is to have it; its 'adopt' says where such dumps lie")
    .requiredOption('--reason <text>', 'why it may be trusted; it is written into the manifest')
    .option(
      '--database <name>',
      "what the database is called, where a dump of one database doesn't tell (default: as the dump is)",
    )
    .option('--by <name>', 'who says so (default: the name of the user who types)')
    .addOption(
      new Option(
        '--allow <what>',
        "what of it may run though a dump doesn't usually hold it: server-side, unexpected, flawed-tools; give it again for more",
      ).argParser(collected),
    )
    .option('--no-wait', "only start it, and print the run's name")
    .action(async (dump: string, options: AdoptOptions, self: Command) => {
      const { context } = shell;
      const { output } = shell.call(self);
      const { checkedArgument } = await import('../checked-argument.ts');
      const { adoptArgument } = await import('../../domain/arguments.ts');
      const { nameOf } = await import('../deciding.ts');
      const { policy, reason, database, allow = [], wait } = options;
      const argument = checkedArgument(
        adoptArgument,
        {
          policy,
          dump,
          by: nameOf(context, options.by),
          reason,
          allow,
          ...(database === undefined ? {} : { database }),
        },
        {
          policy: '--policy',
          dump: '<dump>',
          database: '--database',
          by: '--by',
          reason: '--reason',
          allow: '--allow',
        },
      );
      await withTemporal(context, async (temporal) => {
        const { startAndFollow } = await import('../starting.ts');
        const { showAdopted } = await import('../show-results.ts');
        const start = { workflow: 'adopt', argument } as const;
        const { watch, followed } = await startAndFollow(context, output, temporal, start, wait);
        if (followed) showAdopted(output, watch.run, await watch.outcome());
      });
    });
  withExamples(command, [
    [
      "holdfast backups adopt postgres-backup-20251030-020000 --policy jigga-daily --reason 'from the old cron job'",
      'a file that a cron job left',
    ],
  ]);
}
