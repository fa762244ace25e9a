import type { Command } from 'commander';
import { interruptible } from '../context.ts';
import { withExamples, type Shell } from '../shell.ts';

interface SurveyOptions {
  readonly cluster?: string;
  readonly flawedTools?: true;
}

export function addBackupsSurvey(parent: Command, shell: Shell): void {
  const command = parent
    .command('survey')
    .summary('read a dump that something else made, and say what is in it')
    .description(
      "Reads the whole dump from where the command runs, and writes nothing: databases, tables and rows, whether it is complete, and what of it would run more than a dump's own SQL, with line numbers. Exit code 8: it is cut off. Exit code 6: it holds what has to be allowed, or can't be.",
    )
    .argument('<dump>', "the dump, as 'holdfast backups list' shows it, or the name of its file")
    .option('--cluster <name>', 'the cluster that it is of, where several have a dump of that name')
    .option('--flawed-tools', 'read an archive even by a pg_restore that is known to run code which is hidden in one')
    .action(async (dump: string, { cluster, flawedTools }: SurveyOptions, self: Command) => {
      const { context } = shell;
      const { output, configFile } = shell.call(self);
      const { loadConfiguration } = await import('../configuration.ts');
      const { surveyForeign } = await import('../surveying.ts');
      const { config } = await loadConfiguration(context, configFile);
      shell.exitCode = await interruptible(context, (signal) =>
        surveyForeign(
          context,
          output,
          config,
          { dump, cluster, allow: flawedTools === true ? ['flawed-tools'] : [] },
          signal,
        ),
      );
    });
  withExamples(command, [
    ['holdfast backups survey postgres-backup-20251030-020000', 'is it whole, and what is in it?'],
  ]);
}
