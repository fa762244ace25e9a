import type { TemporalConnection } from '../client/connect.ts';
import type { Config } from '../domain/config.ts';
import { repositoryOpener } from './catalogs.ts';
import { readCnpgWindows } from './cnpg-windows.ts';
import type { Context } from './context.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';
import { follow } from './follow.ts';
import type { Output } from './output.ts';
import { decisionWatcher } from './decided-runs.ts';
import { endOfRecover } from './recovering.ts';
import { endOfRestore } from './restoring.ts';
import { runDocument, showRun } from './show-run.ts';
import { runSeconds } from './starting.ts';
import { showDrilled } from './show-drill.ts';
import { showAdopted, showPruned, showTaken } from './show-results.ts';
import { showSurvey, surveyDocument } from './show-survey.ts';
import { survey } from './survey.ts';
import { reported } from './command-error.ts';
import { watchRun, type Look, type Watch } from './watch.ts';

export async function statusOfAll(
  context: Context,
  output: Output,
  config: Config,
  temporal: TemporalConnection,
  nowMs: number,
): Promise<ExitCode> {
  const [found, byCnpg] = await Promise.all([
    survey(config, temporal, repositoryOpener(context), nowMs),
    readCnpgWindows(context.environment, config, undefined),
  ]);
  showSurvey(output, found, byCnpg, nowMs);
  output.document(surveyDocument(found, byCnpg));
  return found.open.some(({ look }) => waits(look)) ? exitCodes.waits : exitCodes.ok;
}

/** A run that failed is shown with its failure; that it failed is no failure of this command. */
export async function runStatus(output: Output, temporal: TemporalConnection, run: string): Promise<ExitCode> {
  const watch = watchRun(temporal, run);
  const look = await watch.look();
  showRun(output, run, look);
  const failure = look.open ? undefined : await failureOf(watch);
  if (failure) {
    output.line(`${failure.type}: ${failure.message}`);
    output.line(`  next: ${failure.hint}`);
  }
  output.document({ ...runDocument(run, look), failure: failure ?? null });
  return waits(look) ? exitCodes.waits : exitCodes.ok;
}

/** As the command that started the run shows it, to the same end. */
export async function followStatus(
  context: Context,
  output: Output,
  temporal: TemporalConnection,
  run: string,
): Promise<ExitCode> {
  const watch = watchRun(temporal, run);
  const followed = await follow(context, output, watch, { onProgress: decisionWatcher(output, run) });
  switch (followed.look.workflow) {
    case 'backup':
      showTaken(output, run, await watch.outcome(), runSeconds(followed.look));
      return exitCodes.ok;
    case 'adopt':
      showAdopted(output, run, await watch.outcome());
      return exitCodes.ok;
    case 'prune':
      showPruned(output, run, await watch.outcome(), followed.look.progress?.subject.endsWith('(dry run)') ?? false);
      return exitCodes.ok;
    case 'drill':
      await showDrilled(output, run, watch.outcome());
      return exitCodes.ok;
    case 'archiveWal':
      output.line(`run ${run} has ended: nothing archives this log any more`);
      output.document({ run, result: await watch.outcome() });
      return exitCodes.ok;
    case 'recover':
      return endOfRecover(output, run, followed, () => watch.outcome());
    default:
      return endOfRestore(output, run, followed, () => watch.outcome());
  }
}

const waits = ({ open, progress }: Look) => open && progress?.waitingFor === 'decision';

async function failureOf(watch: Watch) {
  try {
    await watch.outcome();
    return undefined;
  } catch (error) {
    const { type, message, hint } = reported(error);
    return { type, message, hint };
  }
}
