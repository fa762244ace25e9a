import type { Dependencies } from './dependencies.ts';
import { withTypedFailures } from './failures.ts';
import { planRestore, type PlanInput } from './plan-restore.ts';
import { pruneBackups, type PruneInput } from './prune-backups.ts';
import { dropExtracted, moveIntoSchema } from './move-into-schema.ts';
import { controlActivities as namesAndLeases } from './resolve.ts';
import { abandonCluster, finishCluster, restoreCluster } from './restore-cluster.ts';
import { dropCopy, loadCopy, nameCopy, verifyCopy, type CopyInput } from './restore-copy.ts';
import {
  commitBackup,
  preflightBackup,
  sweepStaged,
  verifyBackup,
  type CommitInput,
  type SweepInput,
  type VerifyInput,
} from './site-backup.ts';
import {
  publishManifest,
  surveyForAdoption,
  surveyForRestore,
  type PublishInput,
  type SurveyForAdoption,
  type SurveyForRestore,
} from './survey-dump.ts';
import {
  planSwap,
  release,
  settleSwap,
  swap,
  undo,
  type PlanSwapInput,
  type ReleaseInput,
  type SettleInput,
  type SwapActivityInput,
} from './swap-copy.ts';
import { takeBackup, type TakeInput } from './take-backup.ts';
import { working } from './working.ts';
import { writeRecord, type RecordInput } from './write-record.ts';
import type { BackupSpec } from '../domain/specs.ts';

export type { PlannedRestore } from './plan-restore.ts';
export type { PruneResult } from './prune-backups.ts';
export type { LoadedCopy } from './restore-copy.ts';
export type { SwapActivityInput, Swapped } from './swap-copy.ts';
export type { SurveyedDump } from './survey-dump.ts';
export type { TakenBackup } from './take-backup.ts';
export type { Dependencies } from './dependencies.ts';

/** On queue `holdfast`: only talks to Temporal and reads the configuration. */
export const controlActivities = (deps: Dependencies) => withTypedFailures(namesAndLeases(deps));

/** On a site's control queue: quick work beside the data. Each can be done again after a crash at any point. */
export const siteActivities = (deps: Dependencies) =>
  withTypedFailures({
    preflightBackup: (input: { readonly spec: BackupSpec }) => working('preflight', () => preflightBackup(deps, input)),
    publishManifest: (input: PublishInput) => working('publish', (work) => publishManifest(deps, input, work)),
    commitBackup: (input: CommitInput) => working('commit', (work) => commitBackup(deps, input, work)),
    sweepStaged: (input: SweepInput) => working('sweep', (work) => sweepStaged(deps, input, work)),
    pruneBackups: (input: PruneInput) => working('prune', (work) => pruneBackups(deps, input, work)),
    planRestore: (input: PlanInput) => working('plan', () => planRestore(deps, input)),
    planSwap: (input: PlanSwapInput) => working('plan the swap', () => planSwap(deps, input)),
    nameCopy: (input: CopyInput & { readonly oid: number }) =>
      working('name', (work) => nameCopy(deps, input, input.oid, work)),
    dropCopy: (input: CopyInput) => working('drop the copy', () => dropCopy(deps, input)),
    dropExtracted: (input: CopyInput) => working('drop the schema', (work) => dropExtracted(deps, input, work)),
    finishCluster: (input: CopyInput) => working('finish', () => finishCluster(deps, input)),
    abandonCluster: (input: CopyInput) => working('abandon', () => abandonCluster(deps, input)),
    swap: (input: SwapActivityInput) => working('swap', (work) => swap(deps, input, work)),
    undoSwap: (input: SwapActivityInput) => working('undo', (work) => undo(deps, input, work)),
    settleSwap: (input: SettleInput) => working('settle the swap', () => settleSwap(deps, input)),
    dropAside: (input: ReleaseInput) => working('release', (work) => release(deps, input, work)),
    writeRecord: (input: RecordInput) => working('record', (work) => writeRecord(deps, input, work)),
  });

/** On a site's bytes queue, with few slots: moves bytes, for hours if need be. */
export const bytesActivities = (deps: Dependencies) =>
  withTypedFailures({
    takeBackup: (input: TakeInput) => working('dump', (work) => takeBackup(deps, input, work)),
    surveyForAdoption: (input: SurveyForAdoption) => working('survey', (work) => surveyForAdoption(deps, input, work)),
    surveyForRestore: (input: SurveyForRestore) => working('survey', (work) => surveyForRestore(deps, input, work)),
    verifyBackup: (input: VerifyInput) => working('verify', (work) => verifyBackup(deps, input, work)),
    loadCopy: (input: CopyInput) => working('load', (work) => loadCopy(deps, input, work)),
    verifyCopy: (input: CopyInput) => working('compare', (work) => verifyCopy(deps, input, work)),
    moveIntoSchema: (input: CopyInput & { readonly oid: number }) =>
      working('put into the schema', (work) => moveIntoSchema(deps, input, input.oid, work)),
    restoreCluster: (input: CopyInput) => working('restore the cluster', (work) => restoreCluster(deps, input, work)),
  });

export type ControlActivities = ReturnType<typeof controlActivities>;
export type SiteActivities = ReturnType<typeof siteActivities>;
export type BytesActivities = ReturnType<typeof bytesActivities>;
