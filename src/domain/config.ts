import {
  configSchema,
  policyPath,
  policyPrefix,
  type ClusterConfig,
  type Config,
  type PolicyConfig,
} from './config-schema.ts';
import { HoldfastError } from './errors.ts';
import { explainIssues, lookUp } from './explain.ts';
import { joinKey } from './ids.ts';

export { configJsonSchema, policyPath, policyPrefix } from './config-schema.ts';
export type * from './config-schema.ts';

export interface Finding {
  /** Dotted path of the member. */
  readonly path: string;
  readonly message: string;
}

/**
 * Reads what the YAML file held. Throws ConfigurationInvalid with every finding in its text, one a line:
 * the field's path, what was expected, and what to do.
 */
export function parseConfig(value: unknown, source = 'the configuration'): Config {
  const parsed = configSchema.safeParse(value);
  const findings = [
    ...droppedSilently(value),
    ...(parsed.success ? contradictions(parsed.data) : explainIssues(parsed.error, value)),
  ];
  if (!parsed.success || findings.length > 0) throw invalid(source, findings);
  return parsed.data;
}

/** As parseConfig, and refuses what this version can't do. */
export function parseUsableConfig(value: unknown, source = 'the configuration'): Config {
  const config = parseConfig(value, source);
  const findings = unbuilt(config);
  if (findings.length > 0) {
    throw new HoldfastError(
      'NotBuiltYet',
      `${source} asks for what this version of Holdfast can't do:\n${listed(findings)}`,
      'take these members out, or wait for the version that has them',
    );
  }
  return config;
}

const listed = (findings: readonly Finding[]) =>
  findings.map(({ path, message }) => `  ${path}: ${message}`).join('\n');

function invalid(source: string, findings: readonly Finding[]): HoldfastError {
  return new HoldfastError(
    'ConfigurationInvalid',
    `${source} is not valid:\n${listed(findings)}`,
    "correct the members named above; 'holdfast config check' looks again",
  );
}

/** zod leaves a table's member named `__proto__` out without a word. */
function droppedSilently(value: unknown): Finding[] {
  const tables = [['repositories'], ['clusters'], ['policies'], ['tools', 'postgres']] as const;
  return tables.flatMap((path) => {
    const table = lookUp(value, path);
    const dropped = typeof table === 'object' && table !== null && Object.hasOwn(table, '__proto__');
    return dropped ? [{ path: `${path.join('.')}.__proto__`, message: 'is no name to use' }] : [];
  });
}

/** What each member alone can't say: names that lead nowhere, two policies that would write the same files. */
function contradictions(config: Config): Finding[] {
  const { repositories, clusters, policies } = config;
  return [
    ...sharedDirectories(config),
    ...Object.entries(clusters).flatMap(([name, cluster]) => [
      ...(cluster.wal === undefined
        ? []
        : leadsNowhere(`clusters.${name}.wal.repository`, cluster.wal.repository, repositories, 'repository')),
      ...whatTheKindHasNot(`clusters.${name}`, cluster),
    ]),
    ...Object.entries(policies).flatMap(([name, policy]) => [
      ...leadsNowhere(`policies.${name}.cluster`, policy.cluster, clusters, 'cluster'),
      ...(policy.repository === undefined
        ? []
        : leadsNowhere(`policies.${name}.repository`, policy.repository, repositories, 'repository')),
      ...membersThatDontFit(`policies.${name}`, policy, own(clusters, policy.cluster)),
    ]),
    ...sameNames(config),
    ...unreachableFromPods(config),
    ...withoutEvidence(config),
    ...oneWindow(config),
    ...approvals(config),
  ];
}

type Table<T> = Readonly<Record<string, T>>;

/** A name such as `constructor` is no member of a table that doesn't define it. */
const own = <T>(table: Table<T>, name: string): T | undefined => (Object.hasOwn(table, name) ? table[name] : undefined);

function leadsNowhere(path: string, name: string, table: Table<unknown>, what: string): Finding[] {
  if (Object.hasOwn(table, name)) return [];
  const known = Object.keys(table).join(', ');
  const expected = known === '' ? '(none is configured)' : known;
  return [{ path, message: `no ${what} is named '${name}'; expected one of: ${expected}` }];
}

/** Each backup lies in one repository, under one key: not in two that are the same directory, or one in the other. */
function sharedDirectories({ repositories }: Config): Finding[] {
  const findings: Finding[] = [];
  const seen: { readonly name: string; readonly place: string }[] = [];
  for (const [name, { directory, s3 }] of Object.entries(repositories)) {
    const [kind, what] = directory === undefined ? ['s3', 'place'] : ['directory', 'directory'];
    const path = `repositories.${name}.${kind}`;
    const text = directory ?? joinKey(s3?.bucket ?? '', s3?.prefix ?? '');
    const parts = text.split('/').filter((part) => part !== '' && part !== '.');
    if (parts.includes('..')) findings.push({ path, message: "must not hold '..'" });
    const place = `${s3 === undefined ? '' : `${s3.endpoint ?? 'aws'} `}/${parts.map((part) => `${part}/`).join('')}`;
    const other = seen.find((known) => place.startsWith(known.place) || known.place.startsWith(place));
    if (other) {
      const how = other.place === place ? `the same ${what} as` : 'inside, or around,';
      findings.push({ path, message: `is ${how} that of repository ${other.name}; give each a ${what} of its own` });
    }
    seen.push({ name, place });
  }
  return findings;
}

function whatTheKindHasNot(at: string, { cnpg, server, wal, instance, drill, backup }: ClusterConfig): Finding[] {
  const findings: Finding[] = [];
  if (cnpg !== undefined && wal !== undefined)
    findings.push({
      path: `${at}.wal`,
      message:
        'is not for CloudNativePG clusters, which archive their WAL themselves: see the backup section of the Cluster',
    });
  if (server === undefined && instance !== undefined)
    findings.push({ path: `${at}.instance`, message: "is for clusters of kind server, on the worker's own machine" });
  if (server !== undefined && drill !== undefined)
    findings.push({
      path: `${at}.drill`,
      message: "is for clusters in Kubernetes: a server's backups are drilled on the worker",
    });
  if (server !== undefined && backup !== undefined)
    findings.push({
      path: `${at}.backup`,
      message: 'is for clusters in Kubernetes: a server is dumped by a worker, over the network',
    });
  if (backup?.on === 'pod' && wal !== undefined)
    findings.push({
      path: `${at}.wal`,
      message: 'is streamed over the network by a worker, and so needs what backup: { on: pod } does without',
    });
  if (drill?.on === 'worker')
    for (const member of ['namespace', 'image', 'storage', 'resources'] as const)
      if (drill[member] !== undefined)
        findings.push({ path: `${at}.drill.${member}`, message: 'is for drills in a pod, not for on: worker' });
  return findings;
}

function membersThatDontFit(at: string, policy: PolicyConfig, cluster: ClusterConfig | undefined): Finding[] {
  const { method } = policy;
  const findings: Finding[] = [];
  const find = (member: string, message: string) => findings.push({ path: `${at}.${member}`, message });
  if (method === 'cnpg') {
    for (const member of ['format', 'jobs', 'adopt', 'path', 'prefix'] as const)
      if (policy[member] !== undefined)
        find(member, 'is not for method cnpg: CloudNativePG takes the backup, to where the Cluster says');
    if (cluster !== undefined && cluster.cnpg === undefined)
      find('method', `cluster ${policy.cluster} is not run by CloudNativePG; only a cnpg cluster has method cnpg`);
    if (policy.keep !== undefined) find('keep', 'CloudNativePG knows recovery windows only; use window: "30d"');
    if (policy.cnpg?.plugin !== undefined && policy.cnpg.method !== 'plugin')
      find('cnpg.plugin', `goes with method: plugin, not with ${policy.cnpg.method}`);
    return findings;
  }
  if (method !== 'pg_dump') {
    for (const member of ['format', 'jobs'] as const)
      if (policy[member] !== undefined) find(member, `is for method pg_dump, not for ${method}`);
  }
  if (method === 'base') {
    if (cluster?.cnpg !== undefined)
      find(
        'method',
        'CloudNativePG takes base backups itself: use method cnpg, and pg_dumpall or pg_dump for copies without it',
      );
    for (const member of ['adopt', 'path'] as const)
      if (policy[member] !== undefined) find(member, 'is for methods pg_dumpall and pg_dump');
    if (policy.exclude.length > 0) find('exclude', 'is for methods pg_dumpall and pg_dump: a base backup is whole');
    const wal = cluster?.wal?.repository;
    if (wal !== undefined && policy.repository !== undefined && policy.repository !== wal)
      find('repository', `must be ${wal}, where the cluster's WAL goes: a recovery needs both`);
  } else {
    for (const member of ['fullEvery', 'checkpoint', 'compressionWorkers', 'standby'] as const)
      if (policy[member] !== undefined) find(member, `is for method base, not for ${method}`);
  }
  if (policy.repository === undefined) find('repository', `is required for method ${method}`);
  if (policy.cnpg !== undefined) find('cnpg', `is for method cnpg, not for ${method}`);
  if (policy.window !== undefined && method !== 'base')
    find('window', `is for methods base and cnpg; for ${method} use keep: { last: N } or { days: N }`);
  return findings;
}

function sameNames({ policies }: Config): Finding[] {
  const owners = new Map<string, string>();
  return Object.entries(policies).flatMap(([name, policy]) => {
    if (policy.method === 'cnpg') return [];
    const prefix = policyPrefix(name, policy);
    const keys = [
      `files ${policy.repository ?? ''}:${joinKey(policyPath(policy), prefix)}`,
      `backups of ${policy.cluster} named ${prefix}`,
    ];
    const owner = keys.map((key) => owners.get(key)).find((known) => known !== undefined);
    for (const key of keys) if (!owners.has(key)) owners.set(key, name);
    if (owner === undefined) return [];
    const message = `'${prefix}' is policy ${owner}'s already: two policies can't make the same names; give one of them another prefix`;
    return [{ path: `policies.${name}.prefix`, message }];
  });
}

/** What dumps in a pod need and the pod that is written out has not; and what no pod does. */
function unreachableFromPods({ clusters, policies, repositories, kubernetes: { workerPod } }: Config): Finding[] {
  return Object.entries(policies).flatMap(([name, { cluster, method, repository = '' }]) => {
    if (own(clusters, cluster)?.backup?.on !== 'pod' || method === 'cnpg') return [];
    if (method === 'base')
      return [
        {
          path: `policies.${name}.method`,
          message: `base backups are taken over the network by a worker; with backup: { on: pod }, as cluster ${cluster} has it, use pg_dump or pg_dumpall`,
        },
      ];
    const directory = own(repositories, repository)?.directory;
    if (directory === undefined || workerPod === undefined) return [];
    if (workerPod.volumeMounts.some(({ mountPath }) => isWithin(directory, mountPath))) return [];
    return [
      {
        path: `policies.${name}.repository`,
        message: `directory ${directory} of repository ${repository} is not mounted in the pod that dumps cluster ${cluster}: add it to volumes and volumeMounts of kubernetes.workerPod, or use an S3 repository`,
      },
    ];
  });
}

/** A drill of method cnpg puts its evidence where the policy says, else where another policy of the cluster writes. */
function withoutEvidence({ policies }: Config): Finding[] {
  const all = Object.entries(policies);
  return all.flatMap(([name, { method, drill, cluster }]) => {
    if (method !== 'cnpg' || drill === undefined) return [];
    if (all.some(([, other]) => other.cluster === cluster && other.repository !== undefined)) return [];
    return [{ path: `policies.${name}.repository`, message: 'is required with drill: its evidence goes there' }];
  });
}

const isWithin = (directory: string, mountPath: string) => {
  const [inner, outer] = [directory, mountPath].map((path) => `${path.replace(/\/+$/, '')}/`);
  return inner?.startsWith(outer ?? '') === true;
};

/** CloudNativePG has one recovery window for all of a Cluster's backups in its object store. */
function oneWindow({ policies }: Config): Finding[] {
  const first = new Map<string, { readonly name: string; readonly window: string }>();
  return Object.entries(policies).flatMap(([name, { method, cluster, window, cnpg }]) => {
    if (method !== 'cnpg' || window === undefined || cnpg?.method === 'volumeSnapshot') return [];
    const other = first.get(cluster);
    if (other === undefined) first.set(cluster, { name, window });
    if (other === undefined || other.window === window) return [];
    const message = `must be ${other.window}, as in policy ${other.name}: CloudNativePG keeps all of a Cluster's backups in its object store equally long`;
    return [{ path: `policies.${name}.window`, message }];
  });
}

function approvals(config: Config): Finding[] {
  const { quorum, approvers } = config.approvals.restore;
  const path = 'approvals.restore';
  const findings: Finding[] = [];
  for (const member of ['name', 'publicKey'] as const) {
    if (new Set(approvers.map((approver) => approver[member])).size < approvers.length)
      findings.push({
        path: `${path}.approvers`,
        message: `two approvers have the same ${member}: nobody counts twice`,
      });
  }
  if (quorum > 1 && approvers.length < quorum) {
    const message = `${String(quorum)} approvals need at least as many approvers with a publicKey: an unsigned decision doesn't prove who made it`;
    findings.push({ path: `${path}.quorum`, message });
  }
  return findings;
}

/** Members that are understood and not built yet. */
function unbuilt(config: Config): Finding[] {
  const findings: Finding[] = [];
  const refuse = (path: string, what: string) =>
    findings.push({ path, message: `${what} is not built yet in this version` });
  if (config.approvals.restore.approvers.length > 0) refuse('approvals.restore.approvers', 'checking signed approvals');
  return findings;
}
