import { formatBytes, formatCount } from '../domain/format.ts';
import type { BaseSpec } from '../domain/physical-specs.ts';
import type { RunIdentity } from '../domain/run.ts';
import { movingBytes, persist, quick } from './activities.ts';
import type { Journal } from './journal.ts';
import { leaseInput, withLease } from './leasing.ts';
import { pruneBasesUnderLease } from './prune.ts';
import { spoken, takeAndCommit, type BackupResult } from './taking.ts';

/**
 * preflight → take → commit → verify → wait for its WAL → prune. A backup whose WAL never arrives in the archive is
 * kept, and the run fails with WalMissing, so that somebody looks: it can't be recovered from.
 */
export async function backUpBase(spec: BaseSpec, run: RunIdentity, journal: Journal): Promise<BackupResult> {
  const { site, cluster } = spec.source;
  const taken = await withLease(leaseInput(cluster, 'backup', run), async () => {
    await journal.step(
      'preflight',
      () => quick(site, (at) => at.preflightBase({ spec })),
      ({ warnings }) => spoken(warnings),
    );
    return takeAndCommit(spec, run, journal, (turn) => movingBytes(site).takeBase({ spec, run, ...turn }));
  });
  const { manifestKey } = taken;
  await journal.step(
    'verify',
    () => persist(site, () => movingBytes(site).verifyBase({ repository: spec.repository, manifestKey, run })),
    (report) => `${formatBytes(report.plainBytes)} read back`,
  );
  if (!spec.withWal)
    await journal.step(
      'wait for its WAL',
      () => quick(site, (at) => at.awaitWal({ spec, manifestKey })),
      ({ segments }) => `${formatCount(segments, 'segment')} archived`,
    );
  const pruned = await journal.step(
    'prune',
    () => pruneBasesUnderLease(spec, run, false),
    ({ removed, segmentsRemoved }) =>
      `${formatCount(removed.length, 'backup removed', 'backups removed')}, and ${formatCount(segmentsRemoved, 'segment')} of WAL`,
  );
  return { id: taken.id, status: taken.status, bytes: taken.bytes, databases: taken.databases, pruned: pruned.removed };
}
