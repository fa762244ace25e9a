import { z } from 'zod';
import { sha256Hex } from './canonical.ts';

/**
 * Every name, id, key and queue is made here. An id is a name, never a lock: Temporal answers a second start
 * with a used id by the first run, silently.
 */

export type ClusterName = string & { readonly __brand: 'ClusterName' };
export type PolicyName = string & { readonly __brand: 'PolicyName' };
export type RepositoryName = string & { readonly __brand: 'RepositoryName' };

const nameRule = 'must be 1 to 63 lowercase letters, digits and hyphens, and begin and end with a letter or digit';

/** The rule of a Kubernetes label: short, safe in paths, queue names and metrics. */
export const nameSchema = z.string().regex(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, nameRule);

export const clusterName = (text: string) => nameSchema.parse(text) as ClusterName;
export const policyName = (text: string) => nameSchema.parse(text) as PolicyName;
export const repositoryName = (text: string) => nameSchema.parse(text) as RepositoryName;

/** Workflows, and activities that only talk to Temporal or read the configuration. */
export const controlQueue = 'holdfast';
/** Moves bytes: few slots. */
export const bytesQueue = (site: string) => `holdfast/${site}`;
/** Quick work beside the data: plans, swaps, catalogs. It never waits behind a dump. */
export const siteQueue = (site: string) => `holdfast/${site}/control`;

/** Streams write-ahead logs, for hours each: slots of its own, so that no dump waits for them, nor they for a dump. */
export const walQueue = (site: string) => `holdfast/${site}/wal`;
/** Work on a recovered copy, which lies on one machine's disk. */
export const hostQueue = (site: string, host: string) => `holdfast/${site}/on/${host}`;

export const leaseWorkflowId = (cluster: string) => `cluster/${cluster}`;
export const scheduleId = (installation: string, policy: string) => `${installation}/${policy}`;
export const drillScheduleId = (installation: string, policy: string) => `${installation}/${policy}/drill`;
export const walWorkflowId = (cluster: string) => `wal/${cluster}`;
export const scheduledDrillId = (policy: string) => `drill/${policy}`;
export const scheduledWorkflowId = (policy: string) => `backup/${policy}`;
/** @param nonce anything that tells two runs of the same kind apart */
export const startedWorkflowId = (kind: string, name: string, nonce: string) => `${kind}/${name}/${nonce}`;

/** 2026-11-21T02:00:00Z becomes 20261121-020000: sorts by time, and is what cron jobs of this field always wrote. */
export function stamp(at: Date): string {
  const [date = '', time = ''] = at.toISOString().split('T');
  return `${date.replaceAll('-', '')}-${time.slice(0, 8).replaceAll(':', '')}`;
}

/** @param turn 1 for the first try at a name, 2 for the next when the first was taken */
export function backupId(prefix: string, at: Date, turn = 1): string {
  return `${prefix}-${stamp(at)}${turn === 1 ? '' : `-${String(turn)}`}`;
}

/** Never a path. */
export const plainIdSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$/,
    "must be 'latest' or a backup's id as listed by 'holdfast backups list', not a path",
  );

/** What may be given as a backup's id: the name itself, or the name of its file. */
export const backupIdSchema = plainIdSchema.transform((text) =>
  text.replace(/\.sql(\.gz|\.zst)?$|\.globals\.sql(\.gz|\.zst)$/, ''),
);

/** Joins the parts of an object's key, leaving out empty ones. Keys use '/', never begin or end with it. */
export const joinKey = (...parts: readonly string[]) => parts.filter((part) => part !== '').join('/');

export const manifestSuffix = '.manifest.json';
/** A backup whose deletion has begun: it is no backup any more, and the next prune finishes it. */
export const tombstoneSuffix = '.tombstone.json';
export const markerKey = 'holdfast.json';
export const readmeKey = 'README.holdfast.txt';

export const logicalDirectory = (cluster: string) => `${cluster}/logical`;
export const evidenceDirectory = (cluster: string, backup: string) => `${cluster}/evidence/${backup}`;
export const surveyDirectory = (cluster: string) => `${cluster}/surveys`;
export const runRecordKey = (cluster: string, run: string) => `${cluster}/runs/${run}.json`;

/** Eight hex digits that name a run wherever a short name is needed (database copies, records). */
export function shortRunId(workflowId: string, firstExecutionRunId: string): string {
  return sha256Hex(`${workflowId}\n${firstExecutionRunId}`).slice(0, 8);
}

/**
 * The name of a database that a restore makes beside the live one, or that a swap puts aside. At most 63 bytes of
 * UTF-8, PostgreSQL's limit, cut at a character's boundary.
 */
export function besideName(database: string, role: 'new' | 'old', run: string): string {
  const suffix = `_${role}_${run}`;
  const encoder = new TextEncoder();
  const characters = Array.from(database);
  while (encoder.encode(characters.join('')).length > 63 - suffix.length) characters.pop();
  return `${characters.join('')}${suffix}`;
}
