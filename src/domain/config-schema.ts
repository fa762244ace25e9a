import { z } from 'zod';
import { cronFlaw } from './cron.ts';
import { durationSchema } from './duration.ts';
import { logicalDirectory, nameSchema } from './ids.ts';

/**
 * holdfast.yaml. One schema for the whole of what users of this field write, also for what this version can't do
 * yet: `unbuilt` in config.ts names each such member, and nothing that it names is ever accepted and ignored.
 *
 * What a refinement checks doesn't reach the JSON Schema by itself: `meta` says it again, for editors.
 */

const pathRule = /^([A-Za-z0-9_][A-Za-z0-9._-]{0,99}(\/[A-Za-z0-9_][A-Za-z0-9._-]{0,99})*)?$/;

const absolutePath = z.string().startsWith('/', 'must be an absolute path');

const kubernetesName = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/, 'must be the name of a Kubernetes object');

/** Keys of a Kubernetes Secret, which are file names where it is mounted. */
const secretKey = z
  .string()
  .regex(/^(?!\.\.?$)[-._a-zA-Z0-9]{1,253}$/, 'must be the name of a key in a Kubernetes Secret');

/** Where a secret lies; its value is read in activities only and never enters a workflow's history. */
export const secretSchema = z
  .strictObject({
    env: z.string().min(1).optional().describe("name of an environment variable of the worker's process"),
    file: absolutePath.optional().describe('a file that holds the value; read anew each time, so it may rotate'),
    secret: kubernetesName
      .optional()
      .describe('a Kubernetes Secret, mounted into the worker as a directory of this name below HOLDFAST_SECRETS'),
    key: secretKey.optional().describe('goes with secret: the key in it'),
  })
  .refine(
    ({ env, file, secret }) => [env, file, secret].filter((place) => place !== undefined).length === 1,
    'must have exactly one of env, file, secret',
  )
  .refine(
    ({ secret, key }) => (secret === undefined) === (key === undefined),
    'must have key with secret, and only then',
  )
  .meta({ minProperties: 1, maxProperties: 2 });
export type SecretReference = Readonly<z.infer<typeof secretSchema>>;

const maintenanceDatabase = z.string().min(1).default('postgres').describe('the maintenance database to connect to');
const sslmode = (usual: 'prefer' | 'require') =>
  z.enum(['disable', 'prefer', 'require', 'verify-ca', 'verify-full']).default(usual);
const rootCertificate = absolutePath
  .optional()
  .describe('certificates of the authorities that sslmode verify-… trusts');

const serverSchema = z.strictObject({
  host: z
    .string()
    .regex(/^[^\s,]+$/, 'must be one host name, address or directory, without commas and white space')
    .describe('host name, address, or directory of the Unix socket'),
  port: z.number().int().min(1).max(65535).default(5432),
  user: z.string().min(1).default('postgres').describe('a superuser: only it can read roles with their passwords'),
  password: secretSchema.optional(),
  database: maintenanceDatabase,
  sslmode: sslmode('prefer'),
  sslrootcert: rootCertificate,
});

const statefulsetSchema = z.strictObject({
  namespace: kubernetesName,
  name: kubernetesName.describe("name of the StatefulSet; its first pod is this name and '-0'"),
  secret: kubernetesName.describe(
    'holds the password, and mostly the user, under the names that images and charts use',
  ),
  user: z.string().min(1).optional().describe('the superuser; default: as the Secret says, else postgres'),
  keys: z
    .strictObject({
      user: z.string().min(1).optional().describe('default: the Secret holds none'),
      password: z.string().min(1),
    })
    .optional()
    .describe("names of the Secret's keys, where they are others than images and charts use"),
  service: kubernetesName
    .optional()
    .describe("leads to the primary; default: the Secret's POSTGRES_HOST, else the first pod by the StatefulSet's own"),
  database: maintenanceDatabase,
  sslmode: sslmode('prefer'),
  sslrootcert: rootCertificate,
  inPlace: z
    .strictObject({
      dataDirectory: absolutePath
        .optional()
        .describe('as its container sees it; default: as the server says, else PGDATA, else as its image has it'),
    })
    .optional()
    .describe(
      'allows recovery in place: scales it to 0 and works on its volume by a pod of ours; workers need more rights then',
    ),
});

const cnpgRecoverySchema = z
  .strictObject({
    manifest: absolutePath
      .optional()
      .describe('a file that holds the Cluster as it lies in git, for when the Cluster itself is gone'),
    spec: z
      .record(z.string(), z.json())
      .optional()
      .describe("the same in this file: the Cluster's spec, with its backup section, image and storage"),
    deadline: durationSchema
      .optional()
      .describe('a new Cluster that is not healthy by then counts as failed, and is removed; default 24h'),
  })
  .refine(
    ({ manifest, spec }) => manifest === undefined || spec === undefined,
    'must have at most one of manifest, spec',
  );

const cnpgSchema = z.strictObject({
  namespace: kubernetesName,
  name: kubernetesName.describe('name of the Cluster'),
  superuserSecret: kubernetesName
    .optional()
    .describe("default: the Cluster's own <name>-superuser, where superuser access is enabled"),
  database: maintenanceDatabase,
  sslmode: sslmode('require'),
  sslrootcert: rootCertificate,
  recovery: cnpgRecoverySchema.optional().describe('for recovery into a new Cluster'),
});

const commandSchema = z.array(z.string().min(1)).min(1).describe('a program and its arguments; no shell reads it');

const instanceSchema = z.strictObject({
  dataDirectory: absolutePath.describe("the server's data_directory"),
  stop: commandSchema,
  start: commandSchema,
});

const walSchema = z.strictObject({
  repository: nameSchema,
  maxAge: durationSchema
    .default('5m')
    .describe('a segment that is not full is closed when something in it is older: what a disaster can cost at most'),
  takeOver: z
    .strictObject({
      directory: absolutePath.describe('where an archive_command puts segments today, as the worker sees it'),
      keep: z.boolean().default(false).describe('leave the files there once they are in the repository'),
    })
    .optional()
    .describe("read the segments that the server's own archive_command leaves, instead of streaming from it"),
});

const checkSchema = z.strictObject({
  database: z.string().min(1),
  sql: z.string().min(1).describe('one query, asked of the restored copy in a read-only transaction'),
  expect: z.string().describe('the one value that it must answer, as text'),
});

const size = z
  .string()
  .regex(/^[1-9][0-9]*(Mi|Gi|Ti)$/, 'must be a size such as "20Gi"')
  .describe('Mi, Gi or Ti');
const quantity = z.string().regex(/^[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/, 'must be a quantity as in Kubernetes');
const resourceAmounts = z.strictObject({ cpu: quantity.optional(), memory: quantity.optional() });

const drillPlaceSchema = z.strictObject({
  on: z
    .enum(['pod', 'worker'])
    .optional()
    .describe(
      "pod (default, for cnpg and statefulset): dumps are drilled in a pod with the cluster's own image; worker: on the worker's disk, with its programs, as base backups always are",
    ),
  namespace: kubernetesName.optional().describe("of the pod; default: the cluster's own"),
  image: z.string().min(1).max(500).optional().describe('default: the one that the cluster runs'),
  storage: z
    .strictObject({
      size: size.optional().describe("default: half as much again as the backup's databases took, and 2Gi"),
      storageClass: kubernetesName.optional().describe("of a volume of its own; default: the node's disk"),
    })
    .optional(),
  resources: z
    .strictObject({ requests: resourceAmounts.optional(), limits: resourceAmounts.optional() })
    .optional()
    .describe('of the pod; default: requests { cpu: 100m, memory: 512Mi }, limits { memory: 2Gi }'),
});

const backupPlaceSchema = z.strictObject({
  on: z
    .enum(['pod', 'worker'])
    .default('worker')
    .describe(
      "worker: dumps are made by a worker of the site, over the network; pod: by a short-lived pod of ours in the cluster's namespace, for databases that workers don't reach",
    ),
});

const clusterSchema = z
  .strictObject({
    server: serverSchema.optional(),
    statefulset: statefulsetSchema.optional(),
    cnpg: cnpgSchema.optional(),
    wal: walSchema
      .optional()
      .describe('stream the write-ahead log into this repository: with base backups, recovery to a point in time'),
    instance: instanceSchema
      .optional()
      .describe(
        "for recovery in place: the server's own files and how it is stopped and started, on the worker's machine",
      ),
    backup: backupPlaceSchema
      .optional()
      .describe('for clusters in Kubernetes: where the programs run that dump it (pg_dump, pg_dumpall)'),
    drill: drillPlaceSchema
      .optional()
      .describe('for clusters in Kubernetes: where a backup is restored into a scratch server, as a proof'),
    site: nameSchema.default('main').describe('workers of this site do the work on this cluster'),
  })
  .refine(
    (cluster) => [cluster.server, cluster.statefulset, cluster.cnpg].filter((kind) => kind !== undefined).length === 1,
    'must have exactly one of server, statefulset, cnpg',
  )
  .meta({ oneOf: ['server', 'statefulset', 'cnpg'].map((kind) => ({ required: [kind] })) });

const mebibyte = 1024 * 1024;

const s3Schema = z.strictObject({
  bucket: z.string().regex(/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/, 'must be the name of a bucket'),
  prefix: z
    .string()
    .default('')
    .refine(
      (text) => pathRule.test(text) && text.length <= 500,
      "must be a relative path such as 'team/postgres', without '.', '..' or hidden parts",
    )
    .describe("what the keys of this repository's objects begin with; '' is the whole bucket"),
  endpoint: z
    .url({ protocol: /^https?$/, error: 'must be a URL that begins with https:// or http://' })
    .optional()
    .describe('of a store other than AWS'),
  region: z.string().min(1).default('us-east-1').describe('many stores other than AWS take any'),
  pathStyle: z.boolean().optional().describe('bucket in the path instead of the host name; default: with an endpoint'),
  maxParts: z
    .number()
    .int()
    .min(100)
    .max(10_000)
    .default(10_000)
    .describe('of one upload, at most; some stores take 1,000 only'),
  partSize: z
    .number()
    .int()
    .min(5 * mebibyte)
    .max(512 * mebibyte)
    .optional()
    .describe('of an upload, in bytes; default: from the expected size. A worker holds up to four parts in memory'),
  credentials: z
    .union(
      [
        z.strictObject({
          secret: kubernetesName.describe('a Kubernetes Secret, mounted below HOLDFAST_SECRETS'),
          accessKeyId: secretKey.describe('name of the key in the Secret'),
          secretAccessKey: secretKey.describe('name of the key in the Secret'),
        }),
        z.strictObject({
          accessKeyId: secretSchema,
          secretAccessKey: secretSchema,
          sessionToken: secretSchema.optional(),
        }),
      ],
      {
        error:
          'must be { secret, accessKeyId, secretAccessKey } with the names of a Secret and of its keys, or { accessKeyId, secretAccessKey } with { env } or { file } each',
      },
    )
    .optional()
    .describe("default: the AWS SDK's own places (AWS_… variables, shared files, web identity, instance metadata)"),
});

const repositorySchema = z
  .strictObject({
    directory: absolutePath.optional().describe('an NFS mount, or any directory'),
    s3: s3Schema.optional(),
  })
  .refine(
    (repository) => (repository.directory === undefined) !== (repository.s3 === undefined),
    'must have exactly one of directory, s3',
  )
  .meta({ minProperties: 1, maxProperties: 1 });

/** Five fields. Six mean something else to Temporal than to CloudNativePG: `0 0 2 * * *` is midnight on the 2nd. */
const cronSchema = z
  .string()
  .superRefine((text, context) => {
    const flaw = cronFlaw(text);
    if (flaw !== undefined) context.addIssue({ code: 'custom', message: flaw });
  })
  .meta({ pattern: '^\\s*\\S+(\\s+\\S+){4}\\s*$' });

const pathSchema = z
  .string()
  .max(500)
  .regex(
    pathRule,
    "must be a relative path without '.', '..' or hidden parts, none of them longer than 100 characters",
  );

const keepSchema = z
  .strictObject({
    last: z.number().int().min(1).optional().describe('this many newest complete backups'),
    days: z.number().int().min(1).optional().describe('every backup that is younger'),
  })
  .refine((keep) => keep.last !== undefined || keep.days !== undefined, 'must have at least one of last, days')
  .meta({ minProperties: 1 });
export type Keep = Readonly<z.infer<typeof keepSchema>>;

const policySchema = z.strictObject({
  cluster: nameSchema,
  method: z.enum(['pg_dumpall', 'pg_dump', 'base', 'cnpg']),
  cnpg: z
    .strictObject({
      method: z
        .enum(['barmanObjectStore', 'volumeSnapshot', 'plugin'])
        .optional()
        .describe(
          "the Backup object's method, and so where to; barmanObjectStore only where the operator still has it; default: the Cluster's own way",
        ),
      plugin: z.string().min(1).optional().describe('default: barman-cloud.cloudnative-pg.io'),
      target: z
        .enum(['primary', 'prefer-standby'])
        .optional()
        .describe("which instance it is taken from; default: the Cluster's own"),
      online: z
        .boolean()
        .optional()
        .describe("for volumeSnapshot: false stops the instance meanwhile; default: the Cluster's own"),
      deadline: durationSchema.optional().describe('a Backup that is not over by then counts as failed; default 12h'),
    })
    .optional()
    .describe('for method cnpg: how CloudNativePG takes the backup'),
  repository: nameSchema
    .optional()
    .describe(
      'where the backups go; of method cnpg only the evidence of its drills, and by default to that of another policy of the cluster',
    ),
  path: pathSchema.optional().describe('directory inside the repository; "" is its top; default <cluster>/logical'),
  prefix: z
    .string()
    .regex(
      /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/,
      'must be at most 100 letters, digits, dots, underscores and hyphens, and begin with a letter or digit',
    )
    .optional()
    .describe("first part of the files' names; default: the policy's name"),
  schedule: cronSchema.optional().describe('five fields; without it the policy runs only when started by hand'),
  timezone: z
    .string()
    .default('UTC')
    .refine(isTimeZone, "must be an IANA time zone, spelled as there, such as 'UTC' or 'Asia/Tokyo'"),
  catchup: durationSchema.default('12h').describe('a run missed for longer than this is not made up for'),
  keep: keepSchema.optional().describe('without it nothing is ever deleted'),
  window: z
    .string()
    .regex(/^[1-9][0-9]*[dwm]$/, 'must be a recovery window such as "7d"')
    .optional()
    .describe('for methods base and cnpg: how far back a recovery must be able to go'),
  compression: z
    .enum(['gzip', 'zstd'])
    .default('gzip')
    .describe('for method pg_dump zstd needs PostgreSQL 16 or newer'),
  format: z
    .enum(['custom', 'directory'])
    .optional()
    .describe(
      "for method pg_dump: custom (default) streams each database into one file; directory reads a database's tables with several jobs, by way of the worker's scratch directory",
    ),
  jobs: z
    .number()
    .int()
    .min(1)
    .max(64)
    .optional()
    .describe('for method pg_dump: connections that read at once, all databases together; default 2'),
  adopt: z
    .strictObject({
      path: pathSchema.optional().describe("directory inside the repository; default: the policy's own path"),
      pattern: z
        .string()
        .regex(
          /^[A-Za-z0-9*?][A-Za-z0-9._*?-]{0,199}$/,
          "must be a file name without slashes, in which '*' and '?' stand for anything",
        )
        .describe("names of files (or directories of pg_dump's directory format): '*' any text, '?' one character"),
    })
    .optional()
    .describe(
      'dumps that something else left: listed as foreign, restorable by name, never pruned and never the latest until they are adopted',
    ),
  exclude: z.array(z.string().min(1)).default([]).describe('databases to leave out'),
  lockTimeout: durationSchema.default('5m').describe('a dump that waits longer for a table lock fails'),
  countRows: z.boolean().default(true).describe("count every table's rows in the dump's snapshot, for verification"),
  fullEvery: z
    .number()
    .int()
    .min(1)
    .max(100)
    .optional()
    .describe('for method base: one backup in so many is full, the others hold what changed; needs PostgreSQL 17'),
  checkpoint: z
    .enum(['fast', 'spread'])
    .optional()
    .describe('for method base: fast (default) begins at once; spread spares the disks and waits for minutes'),
  compressionWorkers: z
    .number()
    .int()
    .min(0)
    .max(32)
    .optional()
    .describe('for method base: threads that the server compresses with (default 2); 0: none but the one that reads'),
  standby: z
    .strictObject({ host: serverSchema.shape.host, port: serverSchema.shape.port })
    .optional()
    .describe("for method base: take it from this standby, with the cluster's user and password"),
  drill: cronSchema.optional().describe('when the newest backup is restored into a scratch instance, as a proof'),
  checks: z.array(checkSchema).max(100).optional().describe('what a drill asks the restored copy'),
  amcheck: z.boolean().optional().describe('a drill checks every B-tree index and table with pg_amcheck too'),
});

const approverSchema = z.strictObject({ name: z.string().min(1), publicKey: z.string().min(1) });

const restoreApprovalSchema = z.strictObject({
  expiresAfter: durationSchema.default('24h').describe('without a decision in this time a restore counts as rejected'),
  gate: z
    .enum(['swap', 'start'])
    .default('swap')
    .describe('swap: ask once the copy is verified; start: ask before anything is made'),
  quorum: z.number().int().min(1).default(1).describe('how many approvers have to agree'),
  approvers: z.array(approverSchema).default([]),
});

/** Kubernetes' own words, passed on as they are: its API server judges them. */
const kubernetesPart = z.looseObject({ name: z.string().min(1) });

const workerPodSchema = z
  .strictObject({
    image: z.string().min(1).describe("the worker's image, with the programs of the cluster's PostgreSQL"),
    pullSecrets: z.array(kubernetesName).default([]).describe('names of Secrets'),
    env: z
      .array(kubernetesPart)
      .default([])
      .describe('as in a container: TEMPORAL_API_KEY from a Secret, say; default: where this worker finds Temporal'),
    securityContext: z
      .looseObject({})
      .optional()
      .describe("as in a pod: of a dump, where an NFS export takes certain users only; default: the image's own"),
    volumes: z
      .array(kubernetesPart)
      .default([])
      .describe("as in a pod: repositories' directories, Secrets with their keys"),
    volumeMounts: z
      .array(kubernetesPart.extend({ mountPath: absolutePath }))
      .default([])
      .describe('as in a container'),
    resources: z.looseObject({}).optional().describe('as in a container'),
  })
  .describe(
    "pods that a run makes for itself in a cluster's namespace; default: as the pod that the worker runs in has it",
  );

export const configSchema = z.strictObject({
  $schema: z.string().optional(),
  installation: nameSchema.describe(
    'names these workers and their schedules and backups: apply and prune touch no others. One Temporal namespace serves one installation. 1 to 63 lowercase letters, digits and hyphens',
  ),
  repositories: z.record(nameSchema, repositorySchema).default({}),
  clusters: z.record(nameSchema, clusterSchema),
  policies: z.record(nameSchema, policySchema).default({}),
  kubernetes: z.strictObject({ workerPod: workerPodSchema.optional() }).prefault({}),
  approvals: z.strictObject({ restore: restoreApprovalSchema.prefault({}) }).prefault({}),
  tools: z
    .strictObject({
      postgres: z
        .record(z.string().regex(/^[1-9][0-9]$/, 'must be a major version such as "17"'), absolutePath)
        .default({})
        .describe('directories of client tools, by major version, where they are not in a usual place'),
    })
    .prefault({}),
});

export type Config = Readonly<z.infer<typeof configSchema>>;
export type ClusterConfig = Config['clusters'][string];
export type ServerConfig = NonNullable<ClusterConfig['server']>;
export type StatefulSetConfig = NonNullable<ClusterConfig['statefulset']>;
export type CnpgConfig = Omit<NonNullable<ClusterConfig['cnpg']>, 'recovery'>;
export type WorkerPodConfig = NonNullable<Config['kubernetes']['workerPod']>;
export type PolicyConfig = Config['policies'][string];
export type InstanceConfig = NonNullable<ClusterConfig['instance']>;
export type DrillCheck = NonNullable<PolicyConfig['checks']>[number];
export type RestoreApproval = Config['approvals']['restore'];

export const policyPath = (policy: PolicyConfig) => policy.path ?? logicalDirectory(policy.cluster);
export const policyPrefix = (name: string, policy: PolicyConfig) => policy.prefix ?? name;

/**
 * Temporal looks a zone up by its exact spelling; JavaScript takes 'asia/tokyo' too. Aliases that JavaScript knows
 * under another name can't be compared so.
 */
function isTimeZone(zone: string): boolean {
  try {
    const known = new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone;
    return /^[A-Z]/.test(zone) && (known === zone || known.toLowerCase() !== zone.toLowerCase());
  } catch {
    return false;
  }
}

/** The JSON Schema of holdfast.yaml, for editors. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    // zod's own name for what `pattern` says already; JSON Schema has no such format
    override: ({ jsonSchema }) => {
      if (jsonSchema.format === 'starts_with') delete jsonSchema.format;
    },
  });
  return { title: 'holdfast.yaml', ...schema };
}
