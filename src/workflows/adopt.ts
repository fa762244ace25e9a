import { CancellationScope } from '@temporalio/workflow';
import type { SurveyedDump } from '../activities/index.ts';
import { adoptArgument, parseArgument, type AdoptArgument } from '../domain/arguments.ts';
import { formatBytes } from '../domain/format.ts';
import type { RunIdentity } from '../domain/run.ts';
import type { BackupSpec } from '../domain/specs.ts';
import { control, movingBytes, persist, quick } from './activities.ts';
import { fail, failure } from './failures.ts';
import { Journal, runIdentity } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';

export interface AdoptResult {
  readonly id: string;
  readonly databases: readonly string[];
  /** What of it a dump doesn't usually hold, and was allowed. */
  readonly findings: readonly string[];
  readonly notes: readonly string[];
}

/**
 * Reads a dump that something else left, from its beginning to its end, and puts it into the catalog: from then on it
 * is a backup of its policy like any other, `latest` may mean it, and retention counts it.
 * `{"policy":"jigga-daily","dump":"postgres-backup-20251030-020000","by":"alice","reason":"from the old cron job"}`
 */
export async function adopt(input: unknown): Promise<AdoptResult> {
  try {
    const argument = parseArgument('adopt', adoptArgument, input);
    const { policy, dump } = argument;
    const journal = new Journal('adopt', `${dump} for policy ${policy}`);
    const run = runIdentity();
    const spec = await journal.step('resolve', () => control.resolveBackup({ policy }));
    if (spec.method === 'base' || spec.method === 'cnpg')
      throw failure(
        'InvalidArgument',
        `policy ${policy} is of method ${spec.method}, which adopts no dumps`,
        'name one that does',
      );
    const { site, cluster } = spec.source;
    // Like a restore that reads it: no prune takes it for its own meanwhile.
    return await withLease(leaseInput(cluster, 'source', run, dump), async () => {
      const surveyed = await surveyAndPublish(spec, run, argument, journal);
      const { repository } = spec;
      await journal.step(
        'verify',
        () =>
          persist(site, () => movingBytes(site).verifyBackup({ repository, manifestKey: surveyed.manifest.key, run })),
        (report) => `${formatBytes(report.plainBytes)} read back`,
      );
      const { id, databases, findings, notes } = surveyed;
      return { id, databases, findings, notes };
    });
  } catch (error) {
    throw fail(error);
  }
}

async function surveyAndPublish(
  spec: BackupSpec,
  run: RunIdentity,
  argument: AdoptArgument,
  journal: Journal,
): Promise<SurveyedDump> {
  const { site } = spec.source;
  const { repository } = spec;
  try {
    const surveyed = await journal.step(
      'survey',
      () => persist(site, (attempt) => movingBytes(site).surveyForAdoption({ spec, argument, run, attempt })),
      ({ note }) => note,
    );
    await journal.step('publish', () =>
      quick(site, (at) => at.publishManifest({ repository, manifest: surveyed.manifest })),
    );
    return surveyed;
  } finally {
    await CancellationScope.nonCancellable(async () => {
      try {
        await quick(site, (at) => at.sweepStaged({ repository, run }));
      } catch {
        // a later prune sweeps it
      }
    });
  }
}
