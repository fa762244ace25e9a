import type { Imported } from '../kubernetes/scheduled-backups/imported.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import type { Suspended, SuspendVerdict } from './suspend-verdict.ts';
import { formatUtcMinute } from './times.ts';

const placeOf = ({ namespace, name }: Imported) => `${namespace}/${name}`;

/** What would be suspended and what not, and why, before anything is. */
export function showSuspensions(output: Output, verdicts: readonly SuspendVerdict[]): void {
  if (verdicts.length === 0) output.line('no ScheduledBackup');
  for (const found of verdicts) {
    const place = placeOf(found.imported);
    switch (found.verdict) {
      case 'suspend':
        output.line(
          styled('yellow', 'suspend  '),
          `  ${place}`,
          styled('dim', `  policy ${found.policy} does its work, next ${formatUtcMinute(found.next)}`),
        );
        break;
      case 'suspended already':
        output.line(styled('dim', 'suspended'), `  ${place}`);
        break;
      case 'left':
        output.line(styled('red', 'left     '), `  ${place}: ${found.why}`);
        output.line(styled('dim', `             ${found.cure}`));
    }
  }
}

/** What was suspended, and how to take it back. */
export function showSuspended(output: Output, suspended: readonly Suspended[]): void {
  for (const { imported, policy, error } of suspended) {
    if (error !== null) {
      output.warn(`${placeOf(imported)} goes on as before, beside policy ${policy}: ${error.message}; ${error.hint}`);
      continue;
    }
    output.line(styled('green', 'suspended'), `  ${placeOf(imported)}`);
    output.line(styled('dim', '     undo    '), undoCommand(imported));
  }
  if (suspended.every(({ error }) => error !== null)) return;
  output.warn(
    'where something like Argo CD or Flux keeps these objects, set suspend: true there, too: it would change it back',
  );
  output.warn(
    "leave them where they are: they are the way back, and of one with backupOwnerReference 'self' its Backup objects would go, too",
  );
}

const undoCommand = ({ namespace, name }: Imported): string =>
  `kubectl -n ${namespace} patch scheduledbackup ${name} --type merge -p '{"spec":{"suspend":false}}'`;

export const suspendedDocument = (verdicts: readonly SuspendVerdict[], suspended: readonly Suspended[]) => ({
  suspended: suspended.map(({ imported, policy, error }) => ({
    namespace: imported.namespace,
    name: imported.name,
    policy,
    undo: undoCommand(imported),
    error: error && { type: error.type, message: error.message, hint: error.hint },
  })),
  left: verdicts.flatMap((found) =>
    found.verdict === 'left'
      ? [{ namespace: found.imported.namespace, name: found.imported.name, why: found.why, cure: found.cure }]
      : [],
  ),
  suspendedAlready: verdicts.flatMap(({ verdict, imported }) =>
    verdict === 'suspended already' ? [{ namespace: imported.namespace, name: imported.name }] : [],
  ),
});
