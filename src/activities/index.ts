import { readyBackupPod, removeBackupPod, type BackupPodInput } from './backup-pod.ts';
import { auditWal, awaitWal, removeWalSlot, streamWal, type StreamWalInput } from './archive-wal.ts';
import type { Dependencies } from './dependencies.ts';
import {
  judgeCnpgDrill,
  planCnpgDrill,
  watchCnpgDrill,
  type JudgeCnpgDrillInput,
  type PlanCnpgDrillInput,
} from './drill-cnpg.ts';
import { withTypedFailures } from './failures.ts';
import {
  createCnpgBackup,
  preflightCnpg,
  pruneCnpg,
  watchCnpgBackup,
  type CreateCnpgInput,
  type PruneCnpgInput,
  type WatchCnpgInput,
} from './cnpg-backups.ts';
import { planCnpgRecovery, type PlanCnpgRecoveryInput } from './plan-cnpg-recovery.ts';
import { planRecovery, type PlanRecoveryInput } from './plan-recovery.ts';
import {
  checkCnpgCopy,
  createCnpgCopy,
  watchCnpgCopy,
  type CheckCnpgCopyInput,
  type CnpgCopyInput,
  type WatchCnpgCopyInput,
} from './recover-cnpg.ts';
import { annotateCnpgCopy, keepCnpgCopy, removeCnpgCopy, type AnnotateCnpgCopyInput } from './settle-cnpg.ts';
import {
  handOverInPlace,
  putBackInPlace,
  releaseInPlace,
  stopAndPutAside,
  type PutBackInput,
} from './recover-in-place.ts';
import {
  fetchRecovery,
  goOnRecovery,
  promoteRecovery,
  replayRecovery,
  throwAwayRecovery,
  type RecoveryCopyInput,
} from './recover-copy.ts';
import { planRestore, type PlanInput } from './plan-restore.ts';
import { pruneBackups, type PruneInput } from './prune-backups.ts';
import { pruneBases, type PruneBasesInput } from './prune-bases.ts';
import { dropExtracted, moveIntoSchema } from './move-into-schema.ts';
import { controlActivities as namesAndLeases } from './resolve.ts';
import { chooseDrilled, runDrill, type DrillInput } from './run-drill.ts';
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
import { preflightBase, takeBase, type TakeBaseInput } from './take-base.ts';
import { verifyBase } from './verify-base.ts';
import { working } from './working.ts';
import {
  locateWorkload,
  readyWorkerPod,
  removeWorkerPodOf,
  scaleDownWorkload,
  scaleUpWorkload,
  type ScaleInput,
  type ScaleUpInput,
  type WorkerPodInput,
  type WorkloadInput,
} from './workload.ts';
import { writeRecord, type RecordInput } from './write-record.ts';
import type { CnpgSpec } from '../domain/cnpg-specs.ts';
import type { BaseSpec, DrillSpec, WalSpec } from '../domain/physical-specs.ts';
import type { BackupSpec } from '../domain/specs.ts';

export type { BackupPod } from './backup-pod.ts';
export type { PreparedCnpg, TakenByCnpg } from './cnpg-backups.ts';
export type { PlannedRestore } from './plan-restore.ts';
export type { PruneResult } from './prune-backups.ts';
export type { PrunedBases } from './prune-bases.ts';
export type { LoadedCopy } from './restore-copy.ts';
export type { SwapActivityInput, Swapped } from './swap-copy.ts';
export type { SurveyedDump } from './survey-dump.ts';
export type { WalAuditResult } from './archive-wal.ts';
export type { FoundGap } from './wal-heartbeat.ts';
export type { PlannedRecovery } from './plan-recovery.ts';
export type { CnpgCopyInput, CnpgRecoveryLog, ReachedCluster } from './recover-cnpg.ts';
export type { ReachedPlace } from './recover-copy.ts';
export type { FoundWorkload } from './workload.ts';
export type { Aside } from '../postgres/recovery/put-aside.ts';
export type { JudgeCnpgDrillInput } from './drill-cnpg.ts';
export type { Drilled } from './run-drill.ts';
export type { TakenBackup, TakeTurn } from './take-backup.ts';
export type { Dependencies } from './dependencies.ts';

/** On queue `holdfast`: only talks to Temporal and reads the configuration. */
export const controlActivities = (deps: Dependencies) => withTypedFailures(namesAndLeases(deps));

/** On a site's control queue: quick work beside the data. Each can be done again after a crash at any point. */
export const siteActivities = (deps: Dependencies) =>
  withTypedFailures({
    preflightBackup: (input: { readonly spec: BackupSpec }) => working('preflight', () => preflightBackup(deps, input)),
    preflightBase: (input: { readonly spec: BaseSpec }) => working('preflight', () => preflightBase(deps, input)),
    preflightCnpg: (input: { readonly spec: CnpgSpec }) =>
      working('preflight', (work) => preflightCnpg(deps, input, work)),
    createCnpgBackup: (input: CreateCnpgInput) => working('create', (work) => createCnpgBackup(deps, input, work)),
    watchCnpgBackup: (input: WatchCnpgInput) => working('watch', (work) => watchCnpgBackup(deps, input, work)),
    planCnpgRecovery: (input: PlanCnpgRecoveryInput) => working('plan', (work) => planCnpgRecovery(deps, input, work)),
    createCnpgCopy: (input: CnpgCopyInput) => working('create', () => createCnpgCopy(deps, input)),
    watchCnpgCopy: (input: WatchCnpgCopyInput) => working('recover', (work) => watchCnpgCopy(deps, input, work)),
    checkCnpgCopy: (input: CheckCnpgCopyInput) => working('check', (work) => checkCnpgCopy(deps, input, work)),
    keepCnpgCopy: (input: CnpgCopyInput) => working('promote', (work) => keepCnpgCopy(deps, input, work)),
    removeCnpgCopy: (input: CnpgCopyInput) => working('throw away', (work) => removeCnpgCopy(deps, input, work)),
    annotateCnpgCopy: (input: AnnotateCnpgCopyInput) =>
      working('record', (work) => annotateCnpgCopy(deps, input, work)),
    pruneCnpg: (input: PruneCnpgInput) => working('prune', (work) => pruneCnpg(deps, input, work)),
    awaitWal: (input: { readonly spec: BaseSpec; readonly manifestKey: string }) =>
      working('wait for WAL', (work) => awaitWal(deps, input, work)),
    removeWalSlot: (input: { readonly spec: WalSpec }) => working('drop the slot', () => removeWalSlot(deps, input)),
    auditWal: (input: { readonly spec: WalSpec }) => working('audit', (work) => auditWal(deps, input, work)),
    chooseDrilled: (input: { readonly spec: DrillSpec }) =>
      working('choose', (work) => chooseDrilled(deps, input, work)),
    planCnpgDrill: (input: PlanCnpgDrillInput) => working('plan', (work) => planCnpgDrill(deps, input, work)),
    watchCnpgDrill: (input: WatchCnpgCopyInput) => working('recover', (work) => watchCnpgDrill(deps, input, work)),
    planRecovery: (input: PlanRecoveryInput) => working('plan', (work) => planRecovery(deps, input, work)),
    locateWorkload: (input: WorkloadInput) => working('locate', (work) => locateWorkload(deps, input, work)),
    readyWorkerPod: (input: WorkerPodInput & { readonly isDown: boolean }) =>
      working('raise a pod', (work) => readyWorkerPod(deps, input, work)),
    removeWorkerPod: (input: WorkerPodInput) =>
      working('remove the pod', (work) => removeWorkerPodOf(deps, input, work)),
    scaleDownWorkload: (input: ScaleInput) => working('scale down', (work) => scaleDownWorkload(deps, input, work)),
    scaleUpWorkload: (input: ScaleUpInput) => working('scale up', (work) => scaleUpWorkload(deps, input, work)),
    readyBackupPod: (input: BackupPodInput) => working('raise a pod', (work) => readyBackupPod(deps, input, work)),
    removeBackupPod: (input: BackupPodInput) => working('remove the pod', (work) => removeBackupPod(deps, input, work)),
    publishManifest: (input: PublishInput) => working('publish', (work) => publishManifest(deps, input, work)),
    commitBackup: (input: CommitInput) => working('commit', (work) => commitBackup(deps, input, work)),
    sweepStaged: (input: SweepInput) => working('sweep', (work) => sweepStaged(deps, input, work)),
    pruneBackups: (input: PruneInput) => working('prune', (work) => pruneBackups(deps, input, work)),
    pruneBases: (input: PruneBasesInput) => working('prune', (work) => pruneBases(deps, input, work)),
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
    takeBase: (input: TakeBaseInput) => working('base backup', (work) => takeBase(deps, input, work)),
    verifyBase: (input: VerifyInput) => working('verify', (work) => verifyBase(deps, input, work)),
    surveyForAdoption: (input: SurveyForAdoption) => working('survey', (work) => surveyForAdoption(deps, input, work)),
    surveyForRestore: (input: SurveyForRestore) => working('survey', (work) => surveyForRestore(deps, input, work)),
    verifyBackup: (input: VerifyInput) => working('verify', (work) => verifyBackup(deps, input, work)),
    loadCopy: (input: CopyInput) => working('load', (work) => loadCopy(deps, input, work)),
    verifyCopy: (input: CopyInput) => working('compare', (work) => verifyCopy(deps, input, work)),
    moveIntoSchema: (input: CopyInput & { readonly oid: number }) =>
      working('put into the schema', (work) => moveIntoSchema(deps, input, input.oid, work)),
    runDrill: (input: DrillInput) => working('drill', (work) => runDrill(deps, input, work)),
    judgeCnpgDrill: (input: JudgeCnpgDrillInput) => working('drill', (work) => judgeCnpgDrill(deps, input, work)),
    restoreCluster: (input: CopyInput) => working('restore the cluster', (work) => restoreCluster(deps, input, work)),
  });

/** On a site's queue for write-ahead logs. */
export const walActivities = (deps: Dependencies) =>
  withTypedFailures({
    streamWal: (input: StreamWalInput) => working('stream WAL', (work) => streamWal(deps, input, work)),
  });

/** On a machine's own queue: work on a copy that lies on its disks; dumps of a pod's own run. */
export const hostActivities = (deps: Dependencies) =>
  withTypedFailures({
    fetchRecovery: (input: RecoveryCopyInput) => working('fetch', (work) => fetchRecovery(deps, input, work)),
    replayRecovery: (input: RecoveryCopyInput) => working('replay', (work) => replayRecovery(deps, input, work)),
    goOnRecovery: (input: RecoveryCopyInput) => working('go on', (work) => goOnRecovery(deps, input, work)),
    promoteRecovery: (input: RecoveryCopyInput) => working('promote', (work) => promoteRecovery(deps, input, work)),
    throwAwayRecovery: (input: RecoveryCopyInput) =>
      working('throw away', (work) => throwAwayRecovery(deps, input, work)),
    stopAndPutAside: (input: RecoveryCopyInput) => working('stop', (work) => stopAndPutAside(deps, input, work)),
    handOverInPlace: (input: RecoveryCopyInput) => working('hand over', (work) => handOverInPlace(deps, input, work)),
    putBackInPlace: (input: PutBackInput) => working('put back', (work) => putBackInPlace(deps, input, work)),
    releaseInPlace: (input: RecoveryCopyInput) => working('release', () => releaseInPlace(deps, input)),
    preflightBackup: (input: { readonly spec: BackupSpec }) => working('preflight', () => preflightBackup(deps, input)),
    takeBackup: (input: TakeInput) => working('dump', (work) => takeBackup(deps, input, work)),
    verifyBackup: (input: VerifyInput) => working('verify', (work) => verifyBackup(deps, input, work)),
    replanRecovery: (input: PlanRecoveryInput) => working('plan', (work) => planRecovery(deps, input, work)),
  });

export type ControlActivities = ReturnType<typeof controlActivities>;
export type SiteActivities = ReturnType<typeof siteActivities>;
export type BytesActivities = ReturnType<typeof bytesActivities>;
export type HostActivities = ReturnType<typeof hostActivities>;
export type WalActivities = ReturnType<typeof walActivities>;
