import { Command, type Option } from 'commander';
import { addApply } from './commands/apply.ts';
import { addApprove } from './commands/approve.ts';
import { addBackup } from './commands/backup.ts';
import { addBackupsAdopt } from './commands/backups-adopt.ts';
import { addBackupsList } from './commands/backups-list.ts';
import { addBackupsShow } from './commands/backups-show.ts';
import { addBackupsSurvey } from './commands/backups-survey.ts';
import { addBackupsVerify } from './commands/backups-verify.ts';
import { addCancel } from './commands/cancel.ts';
import { addConfigCheck } from './commands/config-check.ts';
import { addConfigSchema } from './commands/config-schema.ts';
import { addDiscover } from './commands/discover.ts';
import { addDrill } from './commands/drill.ts';
import { addImportScheduledBackups } from './commands/import-scheduledbackups.ts';
import { addPrune } from './commands/prune.ts';
import { addRecover } from './commands/recover.ts';
import { addRecoverGoOn } from './commands/recover-go-on.ts';
import { addRecoverPromote } from './commands/recover-promote.ts';
import { addRecoverRelease } from './commands/recover-release.ts';
import { addRecoverThrowAway } from './commands/recover-throw-away.ts';
import { addRecoverUndo } from './commands/recover-undo.ts';
import { addReject } from './commands/reject.ts';
import { addRepositoriesInit } from './commands/repositories-init.ts';
import { addRestore } from './commands/restore.ts';
import { addRestoreRelease } from './commands/restore-release.ts';
import { addRestoreUndo } from './commands/restore-undo.ts';
import { addStatus } from './commands/status.ts';
import { addWindow } from './commands/window.ts';
import { addWorker } from './commands/worker.ts';
import { exitCodeMeanings } from './exit-codes.ts';
import { withExamples, type Shell } from './shell.ts';
import { holdfastVersion } from './version.ts';

/**
 * The whole command line. Loads no more than it takes to show help: what a command does is imported when it runs.
 */
export function buildProgram(shell: Shell): Command {
  const { stdout } = shell.context;
  const program = new Command('holdfast')
    .description('Durable backup and restore of PostgreSQL, on Temporal.')
    .version(holdfastVersion(), '-V, --version', 'print the version')
    .option(
      '--config <file>',
      'the configuration (default: HOLDFAST_CONFIG, ./holdfast.yaml, /etc/holdfast/holdfast.yaml)',
    )
    .option('--json', 'print one JSON document on stdout, and errors as JSON on stderr')
    .option('--no-color', 'no colours; they need a terminal anyway, and NO_COLOR turns them off too')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help for a command')
    .configureHelp({ showGlobalOptions: true, visibleGlobalOptions: ofEveryCommand, helpWidth: 100 })
    .configureOutput({
      writeOut: (text) => stdout.write(text),
      // What is wrong is said in Holdfast's own two lines.
      writeErr: () => undefined,
      outputError: () => undefined,
    })
    .showSuggestionAfterError(true)
    .exitOverride();

  const config = group(program, 'config', 'read the configuration file');
  addConfigCheck(config, shell);
  addConfigSchema(config, shell);
  addDiscover(program, shell);
  addImportScheduledBackups(group(program, 'import', 'take over what something else schedules'), shell);
  addRepositoriesInit(group(program, 'repositories', 'prepare repositories'), shell);
  addApply(program, shell);
  addWorker(program, shell);
  addStatus(program, shell);
  addBackup(program, shell);
  const backups = group(program, 'backups', 'list, show, verify and adopt backups');
  addBackupsList(backups, shell);
  addBackupsShow(backups, shell);
  addBackupsVerify(backups, shell);
  addBackupsSurvey(backups, shell);
  addBackupsAdopt(backups, shell);
  addPrune(program, shell);
  addDrill(program, shell);
  const restore = addRestore(program, shell);
  addRestoreUndo(restore, shell);
  addRestoreRelease(restore, shell);
  addWindow(program, shell);
  const recover = addRecover(program, shell);
  addRecoverPromote(recover, shell);
  addRecoverGoOn(recover, shell);
  addRecoverThrowAway(recover, shell);
  addRecoverUndo(recover, shell);
  addRecoverRelease(recover, shell);
  addApprove(program, shell);
  addReject(program, shell);
  addCancel(program, shell);

  withExamples(program, [
    ['holdfast config check', 'is the configuration what I meant?'],
    ['holdfast worker', 'do the work'],
    ['holdfast apply', 'start the schedules'],
    ['holdfast status', 'what is protected, what runs, what waits for me?'],
  ]);
  const codes = exitCodeMeanings.map(([code, meaning]) => `  ${String(code).padEnd(5)}${meaning}`);
  program.addHelpText(
    'after',
    `\nTemporal is found as the temporal command finds it: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, temporal.toml.\n\nExit codes:\n${codes.join('\n')}`,
  );
  return program;
}

/** Not those of a command above it: `restore undo` takes none of what `restore` takes. */
function ofEveryCommand(command: Command): Option[] {
  let top = command;
  while (top.parent !== null) top = top.parent;
  return top === command ? [] : top.options.filter(({ hidden }) => !hidden);
}

/** A command that is only a name for others. */
function group(program: Command, name: string, summary: string): Command {
  return program
    .command(name)
    .summary(summary)
    .description(`${summary.slice(0, 1).toUpperCase()}${summary.slice(1)}.`);
}
