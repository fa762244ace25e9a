import { listScheduledBackups } from '../kubernetes/discovery/list.ts';
import type { Unread } from '../kubernetes/discovery/found.ts';
import { importScheduledBackups } from '../kubernetes/scheduled-backups/import.ts';
import type { Import } from '../kubernetes/scheduled-backups/imported.ts';
import { importYaml } from '../kubernetes/scheduled-backups/yaml.ts';
import type { LoadedConfiguration } from './configuration.ts';
import type { Context } from './context.ts';
import { lookThrough, warnOfUnread } from './look-through.ts';
import type { Output } from './output.ts';

/** What `holdfast import scheduledbackups` found, and where it looked. */
export interface LookedForSchedules extends Import {
  readonly namespaces: readonly string[];
  readonly unread: readonly Unread[];
}

export async function lookForSchedules(
  context: Pick<Context, 'environment'>,
  namespaces: readonly string[] | undefined,
  loaded: LoadedConfiguration | undefined,
  signal: AbortSignal,
): Promise<LookedForSchedules> {
  const listing = await lookThrough(context, namespaces, signal, listScheduledBackups, 'no ScheduledBackup');
  const found = importScheduledBackups(listing.listed, loaded?.config ?? { clusters: {}, policies: {} });
  return { ...found, namespaces: listing.namespaces, unread: [...listing.unread, ...found.unread] };
}

/** YAML alone goes to stdout, so that it can be redirected into a file. */
export function showImport(
  { stdout }: Pick<Context, 'stdout'>,
  output: Output,
  found: LookedForSchedules,
  loaded: LoadedConfiguration | undefined,
): void {
  if (output.json) {
    output.document(importDocument(found));
    return;
  }
  warnOfUnread(output, found.unread);
  for (const one of found.imported)
    if (one.outcome.kind === 'refused') {
      output.warn(`ScheduledBackup ${one.namespace}/${one.name} is not imported: ${one.outcome.why}`);
      output.warn(`  ${one.outcome.cure}`);
    }
  stdout.write(importYaml(found, { namespaces: found.namespaces, into: loaded?.path }));
}

const importDocument = ({ imported, clusters, policies, namespaces, unread }: LookedForSchedules) => ({
  namespaces,
  scheduledBackups: imported.map(({ fiveFields, outcome, ...rest }) => ({
    ...rest,
    fiveFields: 'cron' in fiveFields ? fiveFields.cron : null,
    timezone: 'cron' in fiveFields ? (fiveFields.timezone ?? 'UTC') : null,
    becomes: outcome.kind,
    policy: outcome.kind === 'refused' ? null : outcome.policy,
    refused: outcome.kind === 'refused' ? { why: outcome.why, cure: outcome.cure } : null,
  })),
  configuration: { clusters, policies },
  unread,
});
