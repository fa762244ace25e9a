import { z } from 'zod';
import { durationSchema } from './duration.ts';
import { HoldfastError } from './errors.ts';
import { logicalDirectory, nameSchema } from './ids.ts';
import { explainIssues } from './explain.ts';

/**
 * holdfast.yaml. One schema for the whole of what users of this field write, also for what this version can't do
 * yet: `unbuilt` names each such member, and nothing that it names is ever accepted and ignored.
 */

/** Where a secret lies; its value is read in activities only and never enters a workflow's history. */
export const secretSchema = z
  .strictObject({
    env: z.string().min(1).optional().describe("name of an environment variable of the worker's process"),
    file: z.string().startsWith('/', 'must be an absolute path').optional().describe('a file that holds the value'),
  })
  .refine((secret) => (secret.env === undefined) !== (secret.file === undefined), 'must have exactly one of env, file');
export type SecretReference = Readonly<z.infer<typeof secretSchema>>;

const kubernetesName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'must be the name of a Kubernetes object');

const serverSchema = z.strictObject({
  host: z.string().min(1).describe('host name, address, or directory of the Unix socket'),
  port: z.number().int().min(1).max(65535).default(5432),
  user: z.string().min(1).default('postgres').describe('a superuser: only it can read roles with their passwords'),
  password: secretSchema.optional(),
  database: z.string().min(1).default('postgres').describe('the maintenance database to connect to'),
  sslmode: z.enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full']).default('prefer'),
  sslrootcert: z.string().startsWith('/').optional(),
});

const statefulsetSchema = z.strictObject({
  namespace: kubernetesName,
  name: kubernetesName,
  secret: kubernetesName,
  service: kubernetesName.optional(),
  walVolume: kubernetesName.optional(),
});

const cnpgSchema = z.strictObject({
  namespace: kubernetesName,
  name: kubernetesName,
  superuserSecret: kubernetesName.optional(),
});

const clusterSchema = z
  .strictObject({
    server: serverSchema.optional(),
    statefulset: statefulsetSchema.optional(),
    cnpg: cnpgSchema.optional(),
    site: nameSchema.default('main').describe('workers of this site do the work on this cluster'),
  })
  .refine(
    (cluster) => [cluster.server, cluster.statefulset, cluster.cnpg].filter((kind) => kind !== undefined).length === 1,
    'must have exactly one of server, statefulset, cnpg',
  );

const s3Schema = z.strictObject({
  bucket: z.string().min(3),
  prefix: z.string().optional(),
  endpoint: z.url().optional(),
  region: z.string().optional(),
  pathStyle: z.boolean().optional(),
  credentials: z
    .strictObject({ secret: kubernetesName, accessKeyId: z.string().min(1), secretAccessKey: z.string().min(1) })
    .optional(),
});

const repositorySchema = z
  .strictObject({
    directory: z
      .string()
      .startsWith('/', 'must be an absolute path')
      .optional()
      .describe('an NFS mount, or any directory'),
    s3: s3Schema.optional(),
  })
  .refine(
    (repository) => (repository.directory === undefined) !== (repository.s3 === undefined),
    'must have exactly one of directory, s3',
  );

/** Five fields. Six mean something else to Temporal than to CloudNativePG: `0 0 2 * * *` is midnight on the 2nd. */
const cronSchema = z
  .string()
  .refine((text) => text.trim().split(/\s+/).length === 5, 'must have five fields: minute hour day month weekday')
  .refine(
    (text) =>
      text
        .trim()
        .split(/\s+/)
        .every((field) => /^[0-9A-Za-z*,/-]+$/.test(field)),
    'may hold only digits, names, *, comma, hyphen and slash',
  );

const pathSchema = z
  .string()
  .regex(
    /^([A-Za-z0-9_][A-Za-z0-9._-]*(\/[A-Za-z0-9_][A-Za-z0-9._-]*)*)?$/,
    "must be a relative path without '.', '..' or hidden parts",
  );

const keepSchema = z
  .strictObject({
    last: z.number().int().min(1).optional().describe('this many newest complete backups'),
    days: z.number().int().min(1).optional().describe('every backup that is younger'),
  })
  .refine((keep) => keep.last !== undefined || keep.days !== undefined, 'must have at least one of last, days');
export type Keep = Readonly<z.infer<typeof keepSchema>>;

const policySchema = z.strictObject({
  cluster: nameSchema,
  method: z.enum(['pg_dumpall', 'pg_dump', 'base', 'cnpg']),
  repository: nameSchema.optional(),
  path: pathSchema.optional().describe('directory inside the repository; "" is its top; default <cluster>/logical'),
  prefix: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be letters, digits, dot, underscore and hyphen')
    .optional()
    .describe("first part of the files' names; default: the policy's name"),
  schedule: cronSchema.optional().describe('five fields; without it the policy runs only when started by hand'),
  timezone: z.string().default('UTC').refine(isTimeZone, "must be an IANA time zone, such as 'UTC' or 'Asia/Tokyo'"),
  catchup: durationSchema.default('12h').describe('a run missed for longer than this is not made up for'),
  keep: keepSchema.optional().describe('without it nothing is ever deleted'),
  window: z
    .string()
    .regex(/^[1-9][0-9]*[dwm]$/, 'must be a recovery window such as "7d"')
    .optional(),
  compression: z.enum(['gzip', 'zstd']).default('gzip'),
  exclude: z.array(z.string().min(1)).default([]).describe('databases to leave out'),
  lockTimeout: durationSchema.default('5m').describe('a dump that waits longer for a table lock fails'),
  countRows: z.boolean().default(true).describe("count every table's rows in the dump's snapshot, for verification"),
  drill: cronSchema.optional(),
});

const approverSchema = z.strictObject({ name: z.string().min(1), publicKey: z.string().min(1) });

const restoreApprovalSchema = z.strictObject({
  expiresAfter: durationSchema.default('24h'),
  gate: z
    .enum(['swap', 'start'])
    .default('swap')
    .describe('swap: ask once the copy is verified; start: ask before anything is made'),
  quorum: z.number().int().min(1).default(1),
  approvers: z.array(approverSchema).default([]),
});

export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  installation: nameSchema.describe('owns its schedules; two installations can share a Temporal namespace'),
  repositories: z.record(nameSchema, repositorySchema).default({}),
  clusters: z.record(nameSchema, clusterSchema),
  policies: z.record(nameSchema, policySchema).default({}),
  approvals: z.strictObject({ restore: restoreApprovalSchema.prefault({}) }).prefault({}),
  tools: z
    .strictObject({
      postgres: z
        .record(z.string().regex(/^[1-9][0-9]$/, 'must be a major version such as "17"'), z.string().startsWith('/'))
        .default({})
        .describe('directories of client tools, by major version, where they are not in a usual place'),
    })
    .prefault({}),
});

export type Config = Readonly<z.infer<typeof configSchema>>;
export type ClusterConfig = Config['clusters'][string];
export type ServerConfig = NonNullable<ClusterConfig['server']>;
export type PolicyConfig = Config['policies'][string];
export type RepositoryConfig = Config['repositories'][string];
export type RestoreApproval = Config['approvals']['restore'];

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
  const findings = parsed.success ? contradictions(parsed.data) : explainIssues(parsed.error, value);
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

export const policyPath = (policy: PolicyConfig) => policy.path ?? logicalDirectory(policy.cluster);
export const policyPrefix = (name: string, policy: PolicyConfig) => policy.prefix ?? name;

/** What each member alone can't say: names that lead nowhere, two policies that would write the same files. */
function contradictions(config: Config): Finding[] {
  const findings: Finding[] = [];
  const expectOneOf = (path: string, name: string, table: Readonly<Record<string, unknown>>, what: string) => {
    if (Object.hasOwn(table, name)) return;
    const known = Object.keys(table).join(', ');
    findings.push({
      path,
      message: `no ${what} is named '${name}'; expected one of: ${known === '' ? '(none is configured)' : known}`,
    });
  };
  const owners = new Map<string, string>();
  for (const [name, policy] of Object.entries(config.policies)) {
    const at = `policies.${name}`;
    expectOneOf(`${at}.cluster`, policy.cluster, config.clusters, 'cluster');
    if (policy.repository !== undefined)
      expectOneOf(`${at}.repository`, policy.repository, config.repositories, 'repository');
    else if (policy.method !== 'cnpg')
      findings.push({ path: `${at}.repository`, message: `is required for method ${policy.method}` });
    if (policy.window !== undefined && policy.method !== 'cnpg' && policy.method !== 'base') {
      findings.push({
        path: `${at}.window`,
        message: `is for methods base and cnpg; for ${policy.method} use keep: { last: N } or { days: N }`,
      });
    }
    if (policy.keep !== undefined && policy.method === 'cnpg') {
      findings.push({ path: `${at}.keep`, message: 'CloudNativePG knows recovery windows only; use window: "30d"' });
    }
    if (policy.method === 'cnpg') continue;
    const prefix = policyPrefix(name, policy);
    for (const key of [
      `files ${policy.repository ?? ''}:${policyPath(policy)}/${prefix}`,
      `backups of ${policy.cluster} named ${prefix}`,
    ]) {
      const owner = owners.get(key);
      if (owner === undefined) owners.set(key, name);
      else {
        findings.push({
          path: `${at}.prefix`,
          message: `'${prefix}' is policy ${owner}'s already: two policies can't make the same names; give one of them another prefix`,
        });
        break;
      }
    }
  }
  const { quorum, approvers } = config.approvals.restore;
  if (quorum > 1 && approvers.length < quorum) {
    findings.push({
      path: 'approvals.restore.quorum',
      message: `${String(quorum)} approvals need at least as many approvers with a publicKey: an unsigned decision doesn't prove who made it`,
    });
  }
  return findings;
}

/** Members that are understood and not built yet. */
export function unbuilt(config: Config): Finding[] {
  const findings: Finding[] = [];
  const refuse = (path: string, what: string) =>
    findings.push({ path, message: `${what} is not built yet in this version` });
  for (const [name, repository] of Object.entries(config.repositories)) {
    if (repository.s3) refuse(`repositories.${name}.s3`, 'an S3 repository');
  }
  for (const [name, cluster] of Object.entries(config.clusters)) {
    if (cluster.cnpg) refuse(`clusters.${name}.cnpg`, 'a CloudNativePG cluster');
    if (cluster.statefulset) refuse(`clusters.${name}.statefulset`, 'a StatefulSet');
  }
  for (const [name, policy] of Object.entries(config.policies)) {
    if (policy.method !== 'pg_dumpall') refuse(`policies.${name}.method`, `method ${policy.method}`);
    if (policy.drill !== undefined) refuse(`policies.${name}.drill`, 'a restore drill');
  }
  if (config.approvals.restore.approvers.length > 0) refuse('approvals.restore.approvers', 'checking signed approvals');
  return findings;
}

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** The JSON Schema of holdfast.yaml, for editors. */
export function configJsonSchema(): object {
  return { title: 'holdfast.yaml', ...z.toJSONSchema(configSchema, { io: 'input' }) };
}
