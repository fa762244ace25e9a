import { formatBytes, formatCount, formatSeconds } from '../domain/format.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import type { BackupResult, CnpgBackupResult } from '../workflows/backup.ts';
import type { PrunedBases, PruneResult } from '../activities/index.ts';
import type { AdoptResult } from '../workflows/adopt.ts';

/** @param outcome what the workflow backup returned */
export function showTaken(output: Output, run: string, outcome: unknown, seconds: number): void {
  const result = outcome as BackupResult | CnpgBackupResult;
  const removed =
    result.pruned.length === 0 ? '' : `, ${formatCount(result.pruned.length, 'older backup', 'older backups')} removed`;
  output.line(
    styled('green', 'done'),
    `  ${'id' in result ? whatWasTaken(result) : whatCnpgTook(result)}, in ${formatSeconds(seconds)}${removed}`,
  );
  output.document({ run, result, seconds });
}

const whatWasTaken = ({ id, bytes, databases }: BackupResult) =>
  `${id}: ${formatBytes(bytes)}, ${formatCount(databases, 'database')}, verified`;

const whatCnpgTook = ({ name, method, beginWal, endWal, instance }: CnpgBackupResult) =>
  `${name}: taken by CloudNativePG (${method}) from ${instance ?? 'an instance'}, WAL ${beginWal ?? '?'} to ${endWal ?? '?'}`;

/** @param outcome what the workflow adopt returned */
export function showAdopted(output: Output, run: string, outcome: unknown): void {
  const result = outcome as AdoptResult;
  output.line(
    styled('green', 'adopted'),
    ` ${result.id}: ${formatCount(result.databases.length, 'database')}; it is a backup of the policy from now on`,
  );
  for (const finding of result.findings) output.line(`  allowed: ${finding}`);
  for (const note of result.notes) output.line(`  note: ${note}`);
  output.document({ run, result });
}

/** @param outcome what the workflow prune returned */
export function showPruned(output: Output, run: string, outcome: unknown, dryRun: boolean): void {
  const result = outcome as PruneResult | PrunedBases;
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
  const segments = 'segmentsRemoved' in result ? `, and ${formatCount(result.segmentsRemoved, 'segment')} of WAL` : '';
  output.line(
    `${formatCount(result.removed.length, 'backup')}${segments} ${dryRun ? 'would go' : 'removed'}, ${String(result.kept)} kept`,
  );
  for (const id of result.locked ?? []) output.warn(`${id} should have gone, and the store's object lock keeps it`);
  output.document({ run, dryRun, result });
}
