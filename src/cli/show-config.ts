import { nextRuns } from '../client/next-runs.ts';
import { policyPath, policyPrefix, type ClusterConfig, type PolicyConfig } from '../domain/config.ts';
import { joinKey } from '../domain/ids.ts';
import { defaultJobs, repositoryPlace, repositorySpec, type RepositorySpec } from '../domain/specs.ts';
import type { LoadedConfiguration } from './configuration.ts';
import type { Output } from './output.ts';
import { styled } from './spans.ts';
import { formatRun } from './times.ts';

/** What was understood, so that a person sees whether that is what was meant. */
export function showConfig(output: Output, { config, path }: LoadedConfiguration, now: Date): void {
  output.line(styled('green', 'valid'), `  ${path}, installation ${config.installation}`);
  output.line();
  output.table(
    ['CLUSTER', 'SERVER', 'SITE'],
    Object.entries(config.clusters).map(([name, cluster]) => [name, serverText(cluster), cluster.site]),
  );
  if (Object.keys(config.repositories).length > 0) {
    output.line();
    output.table(
      ['REPOSITORY', 'PLACE'],
      Object.keys(config.repositories).map((name) => [name, repositoryText(repositorySpec(config, name))]),
    );
  }
  for (const [name, policy] of Object.entries(config.policies)) {
    output.line();
    output.line(styled('bold', `policy ${name}`));
    for (const [title, text] of policyFacts(name, policy)) output.line(styled('dim', `  ${title.padEnd(9)}`), text);
    const next = scheduled(policy, now);
    if (policy.schedule !== undefined && next.length === 0) output.warn(`policy ${name}: the schedule never comes`);
    for (const [index, at] of next.entries())
      output.line(styled('dim', `  ${(index === 0 ? 'next' : '').padEnd(9)}`), formatRun(at, policy.timezone));
  }
  const { expiresAfter, gate } = config.approvals.restore;
  output.line();
  output.line(
    `restores wait ${expiresAfter} for an approval, ${gate === 'swap' ? 'once the copy is verified' : 'before anything is made'}`,
  );
}

const repositoryText = (spec: RepositorySpec) =>
  's3' in spec ? `${repositoryPlace(spec)} at ${spec.s3.endpoint ?? `AWS, ${spec.s3.region}`}` : repositoryPlace(spec);

function serverText({ server }: ClusterConfig): string {
  if (!server) return '';
  return `${server.user}@${server.host}:${String(server.port)}/${server.database}`;
}

function policyFacts(name: string, policy: PolicyConfig): [string, string][] {
  const path = policyPath(policy);
  const { last, days } = policy.keep ?? {};
  const keep = [
    ...(last === undefined ? [] : [`the last ${String(last)}`]),
    ...(days === undefined ? [] : [`${String(days)} days`]),
  ];
  return [
    ['backs up', `${policy.cluster} by ${policy.method}, ${policy.compression}${how(policy)}`],
    ['to', `${policy.repository ?? ''}: ${path === '' ? '' : `${path}/`}${policyPrefix(name, policy)}-YYYYMMDD-HHMMSS`],
    ['keeps', keep.length === 0 ? 'everything: nothing is ever deleted' : keep.join(' and ')],
    ...(policy.adopt === undefined
      ? []
      : [
          ['adopts', `${joinKey(policy.adopt.path ?? path, policy.adopt.pattern)}, one by one, when asked to`] as [
            string,
            string,
          ],
        ]),
    ...(policy.exclude.length === 0 ? [] : [['without', policy.exclude.join(', ')] as [string, string]]),
    [
      'schedule',
      policy.schedule === undefined ? 'none: it runs when started by hand' : `${policy.schedule} (${policy.timezone})`,
    ],
  ];
}

const how = ({ method, format = 'custom', jobs = defaultJobs }: PolicyConfig) =>
  method === 'pg_dump' ? `, format ${format}, ${String(jobs)} jobs` : '';

const scheduled = ({ schedule, timezone }: PolicyConfig, now: Date): Date[] =>
  schedule === undefined ? [] : nextRuns(schedule, timezone, now);

export const configDocument = ({ config, path }: LoadedConfiguration, now: Date) => ({
  valid: true,
  path,
  config,
  nextRuns: Object.fromEntries(
    Object.entries(config.policies).map(([name, policy]) => [
      name,
      scheduled(policy, now).map((at) => at.toISOString()),
    ]),
  ),
});
