import { nextRuns } from '../client/next-runs.ts';
import { policyPath, policyPrefix, type ClusterConfig, type PolicyConfig } from '../domain/config.ts';
import { physicalDirectory } from '../domain/base-manifest.ts';
import { formatCount } from '../domain/format.ts';
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
  const archives = Object.values(config.clusters).some(({ wal }) => wal !== undefined);
  output.table(
    ['CLUSTER', 'SERVER', 'SITE', ...(archives ? ['WAL'] : [])],
    Object.entries(config.clusters).map(([name, cluster]) => [
      name,
      serverText(cluster),
      cluster.site,
      ...(archives ? [walText(cluster)] : []),
    ]),
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
    `restores wait ${expiresAfter} for an approval, ${gate === 'swap' ? 'once the copy is verified' : 'before anything is made'}; recoveries in place before anything is stopped`,
  );
}

const repositoryText = (spec: RepositorySpec) =>
  's3' in spec ? `${repositoryPlace(spec)} at ${spec.s3.endpoint ?? `AWS, ${spec.s3.region}`}` : repositoryPlace(spec);

function walText({ wal }: ClusterConfig): string {
  if (!wal) return 'not archived';
  const source = wal.takeOver === undefined ? 'streamed' : `taken over from ${wal.takeOver.directory}`;
  return `${source}, into ${wal.repository}, at most ${wal.maxAge} old`;
}

function serverText({ server }: ClusterConfig): string {
  if (!server) return '';
  return `${server.user}@${server.host}:${String(server.port)}/${server.database}`;
}

function policyFacts(name: string, policy: PolicyConfig): [string, string][] {
  const path = policy.method === 'base' ? physicalDirectory(policy.cluster, '<system identifier>') : policyPath(policy);
  const { last, days } = policy.keep ?? {};
  const keep = [
    ...(last === undefined ? [] : [`the last ${String(last)}`]),
    ...(days === undefined ? [] : [`${String(days)} days`]),
    ...(policy.window === undefined ? [] : [`recovery to any moment of the last ${policy.window}`]),
  ];
  return [
    ['backs up', `${policy.cluster} by ${policy.method}, ${how(policy)}`],
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
    ...(policy.drill === undefined
      ? []
      : [
          ['drill', `${policy.drill} (${policy.timezone}), ${formatCount(policy.checks?.length ?? 0, 'check')}`] as [
            string,
            string,
          ],
        ]),
    [
      'schedule',
      policy.schedule === undefined ? 'none: it runs when started by hand' : `${policy.schedule} (${policy.timezone})`,
    ],
  ];
}

function how(policy: PolicyConfig): string {
  const { method, compression, format = 'custom', jobs = defaultJobs, fullEvery = 1, checkpoint = 'fast' } = policy;
  switch (method) {
    case 'base':
      return `${fullEvery === 1 ? 'full' : `a full one every ${String(fullEvery)}`}, checkpoint ${checkpoint}${policy.standby === undefined ? '' : `, from standby ${policy.standby.host}`}`;
    case 'pg_dump':
      return `${compression}, format ${format}, ${String(jobs)} jobs`;
    case 'pg_dumpall':
    case 'cnpg':
      return compression;
  }
}

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
