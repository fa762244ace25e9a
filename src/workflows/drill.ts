import type { Drilled } from '../activities/index.ts';
import { drillArgument, parseArgument } from '../domain/arguments.ts';
import { formatCount, formatSeconds } from '../domain/format.ts';
import type { DrillSpec } from '../domain/physical-specs.ts';
import type { RunIdentity } from '../domain/run.ts';
import { control, movingBytes, persist, quick } from './activities.ts';
import { drillCnpg } from './drill-cnpg.ts';
import { fail, failure } from './failures.ts';
import { Journal, runIdentity } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';

export type DrillResult = Pick<Drilled, 'backup' | 'outcome' | 'restoreSeconds' | 'dataAgeSeconds' | 'checks'>;

/**
 * Restores the newest good backup of a policy into a server of its own, asks the policy's checks, writes the evidence
 * and removes all of it. `{"policy":"jigga-daily"}`
 *
 * A drill that failed has its evidence too, and the run fails with DrillFailed, so that somebody looks. One that could
 * not be made fails with what kept it, and says nothing of the backup.
 */
export async function drill(input: unknown): Promise<DrillResult> {
  try {
    return await drillPolicy(input);
  } catch (error) {
    throw fail(error);
  }
}

async function drillPolicy(input: unknown): Promise<DrillResult> {
  const { policy } = parseArgument('drill', drillArgument, input);
  const journal = new Journal('drill', `of policy ${policy}`);
  const run = runIdentity();
  const spec = await journal.step('resolve', () => control.resolveDrill({ policy }));
  return concluded(
    spec.method === 'cnpg' ? await drillCnpg(spec, run, journal, noteOf) : await drillFiles(spec, run, journal),
  );
}

/** A backup that is files in a repository: choose → restore, ask, record. */
async function drillFiles(spec: DrillSpec, run: RunIdentity, journal: Journal): Promise<Drilled> {
  const { site, cluster } = spec.source;
  const drilled = await journal.step(
    'choose',
    () => quick(site, (at) => at.chooseDrilled({ spec })),
    ({ backup }) => backup,
  );
  // No prune takes what is being restored.
  return withLease(leaseInput(cluster, 'source', run, drilled.backup), () =>
    journal.step(
      'drill',
      () => persist(site, (attempt) => movingBytes(site).runDrill({ spec, drilled, run, attempt })),
      noteOf,
    ),
  );
}

function concluded({ backup, outcome, restoreSeconds, dataAgeSeconds, checks, evidence }: Drilled): DrillResult {
  const result = { backup, outcome, restoreSeconds, dataAgeSeconds, checks };
  if (outcome === 'passed') return result;
  const wrong = checks.filter((check) => check.outcome === 'failed');
  const named = wrong.slice(0, 5).map(({ name, detail }) => `${name}: ${detail}`);
  throw failure(
    'DrillFailed',
    `the drill of backup ${backup} failed: ${named.join('; ') || 'nothing was checked'}${wrong.length > 5 ? `; and ${String(wrong.length - 5)} more` : ''}`,
    `the evidence lies in ${evidence}; look at what failed, and take another backup`,
    result,
  );
}

function noteOf({ outcome, restoreSeconds, dataAgeSeconds, checks, leftBehind }: Drilled): string {
  const passed = checks.filter((check) => check.outcome === 'passed').length;
  return [
    `${outcome}, ${String(passed)} of ${formatCount(checks.length, 'check')} passed`,
    ...(restoreSeconds === null ? [] : [`restored in ${formatSeconds(restoreSeconds)}`]),
    ...(dataAgeSeconds === null ? [] : [`data ${formatSeconds(dataAgeSeconds)} old`]),
    ...(leftBehind.length === 0 ? [] : [`left behind: ${leftBehind.join('; ')}`]),
  ].join(', ');
}
