import { formatBytes, formatCount, formatSeconds } from '../domain/format.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import type { BackupResult } from '../workflows/backup.ts';
import type { PruneResult } from '../activities/index.ts';

/** @param outcome what the workflow backup returned */
export function showTaken(output: Output, run: string, outcome: unknown, seconds: number): void {
  const result = outcome as BackupResult;
  const removed =
    result.pruned.length === 0 ? '' : `, ${formatCount(result.pruned.length, 'older backup', 'older backups')} removed`;
  output.line(
    styled('green', 'done'),
    `  ${result.id}: ${formatBytes(result.bytes)}, ${formatCount(result.databases, 'database')}, verified, in ${formatSeconds(seconds)}${removed}`,
  );
  output.document({ run, result, seconds });
}

/** @param outcome what the workflow prune returned */
export function showPruned(output: Output, run: string, outcome: unknown, dryRun: boolean): void {
  const result = outcome as PruneResult;
  if (result.verdicts.length === 0) output.line('the policy has no backups');
  else
    output.table(
      ['BACKUP', '', 'WHY'],
      result.verdicts.map(({ id, keep }) => [
        id,
        keep.length > 0 ? styled('green', 'stays') : styled('red', dryRun ? 'would go' : 'removed'),
        keep.length > 0 ? keep.join('; ') : 'nothing keeps it',
      ]),
    );
  output.line(
    `${formatCount(result.removed.length, 'backup')} ${dryRun ? 'would go' : 'removed'}, ${String(result.kept)} kept`,
  );
  output.document({ run, dryRun, result });
}
