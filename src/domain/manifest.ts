import { z } from 'zod';
import { nameSchema, plainIdSchema } from './ids.ts';

/**
 * What a backup is, written beside its bytes as the last step: no manifest, no backup. Version 1.
 * The schema is strict on writing and lenient on reading unknown members, so that an older worker can still
 * list what a newer one wrote with the same version.
 */

const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits');
const count = z.number().int().nonnegative();

const partFormat = z.enum(['plain', 'custom', 'tar', 'directory', 'directory-tar']);
export type PartFormat = z.infer<typeof partFormat>;

export const partSchema = z.object({
  /** globals, then for each database properties and content, then footer. */
  name: z.enum(['globals', 'properties', 'content', 'footer']),
  database: z.string().optional(),
  /** The object's key in the repository. */
  object: z.string(),
  /** Where the part's stored bytes begin in the object, and how many they are. */
  offset: count,
  length: count,
  /** SHA-256 of the stored bytes. */
  sha256,
  /** Size and SHA-256 of the bytes before compression; null until `verify` has read them. */
  plain: z.object({ length: count, sha256 }).nullable(),
  compression: z.enum(['gzip', 'zstd', 'none']),
  /**
   * plain (also where it isn't said): SQL for psql. custom, tar: as pg_dump writes them. directory-tar: a tar of what
   * pg_dump's directory format is. directory: the directory in which the object, its toc.dat, lies.
   */
  format: partFormat.optional(),
  /**
   * Only in dumps that others made, which are compressed as a whole: the part is this range of what the stored bytes
   * unpack to, with the SHA-256 of that range.
   */
  within: z.object({ offset: count, length: count, sha256 }).optional(),
  /** Room for age; null: not encrypted. */
  encryption: z.null(),
});

export const objectSchema = z.object({ key: z.string(), bytes: count, sha256 });

/** A dump that others made doesn't tell the version, which is '' then. */
export const extensionSchema = z.object({ name: z.string(), version: z.string(), schema: z.string() });

/** What hangs on a database's OID instead of its content; see DatabaseProperties in swap-report.ts. */
const propertiesSchema = z.object({
  owner: z.string(),
  tablespace: z.string(),
  connectionLimit: z.number().int(),
  isTemplate: z.boolean(),
  comment: z.string().nullable(),
  settings: z.array(z.object({ role: z.string().nullable(), name: z.string(), value: z.string() })),
  privileges: z.array(
    z.object({ grantor: z.string(), grantee: z.string().nullable(), privilege: z.string(), grantable: z.boolean() }),
  ),
  securityLabels: z.array(z.object({ provider: z.string(), label: z.string() })),
});

export const databaseSchema = z.object({
  name: z.string(),
  oid: count,
  owner: z.string(),
  /** This and the next two: '' in a dump that doesn't tell: the target's own. */
  encoding: z.string(),
  collate: z.string(),
  ctype: z.string(),
  /** libc, icu or builtin; PostgreSQL 14 and older know libc only. */
  localeProvider: z.enum(['libc', 'icu', 'builtin']),
  /** The ICU or builtin locale. */
  locale: z.string().nullable(),
  icuRules: z.string().nullable(),
  collationVersion: z.string().nullable(),
  tablespace: z.string(),
  connectionLimit: z.number().int(),
  isTemplate: z.boolean(),
  /** Owner, privileges, settings, comment: null where the database wasn't dumped. */
  properties: propertiesSchema.nullable(),
  /** pg_database_size when the dump began, in bytes. */
  bytes: count,
  status: z.enum(['dumped', 'skipped', 'failed']),
  /** Why it was skipped or failed. */
  reason: z.string().nullable(),
  /** When the dump's snapshot was taken. */
  snapshotAt: z.iso.datetime().nullable(),
  extensions: z.array(extensionSchema),
  /** Rows of each table in the dump's own snapshot: [schema, table, rows]; rows is null where it wasn't counted. */
  tables: z.array(z.tuple([z.string(), z.string(), count.nullable()])),
  /** Roles that own something or are granted something in the database. */
  roles: z.array(z.string()),
  /** Tablespaces that objects in it name. */
  tablespaces: z.array(z.string()),
});

export const roleSchema = z.object({
  name: z.string(),
  superuser: z.boolean(),
  canLogin: z.boolean(),
});

/**
 * What of a foreign dump may run although a dump doesn't usually hold it:
 * - `server-side`: what reads, writes or runs something on the server's own machine (COPY … PROGRAM, COPY from or to a
 *   file, ALTER SYSTEM, LOAD, functions in C or an untrusted language)
 * - `unexpected`: a statement of a kind that pg_dump doesn't write
 * - `flawed-tools`: an archive, read by a pg_restore that is known to run code which is hidden in one
 *
 * psql's own commands are never allowed, beyond those that a dump needs.
 */
export const allowanceSchema = z.enum(['server-side', 'unexpected', 'flawed-tools']);
export type Allowance = z.infer<typeof allowanceSchema>;

export const originSchema = z.object({
  /** adopted: a person put it into the catalog. surveyed: only looked at, for one restore; nobody vouches for it. */
  kind: z.enum(['adopted', 'surveyed']),
  by: z.string(),
  reason: z.string(),
  at: z.iso.datetime(),
  /** What the file system or the store says of the file. */
  modifiedAt: z.iso.datetime(),
  /** What a dump doesn't usually hold, named with line and database. */
  findings: z.array(z.string()).readonly(),
  /** What of it may run all the same. */
  allow: z.array(allowanceSchema).readonly(),
});
export type Origin = Readonly<z.infer<typeof originSchema>>;

const manifestShape = z.object({
  version: z.literal(1),
  id: plainIdSchema,
  installation: nameSchema,
  cluster: nameSchema,
  policy: nameSchema,
  method: z.enum(['pg_dumpall', 'pg_dump']),
  /** Where Holdfast didn't make it: what was found in a dump that somebody else left. */
  origin: originSchema.optional(),
  /** partial: at least one database failed. Never the newest good backup. */
  status: z.enum(['complete', 'partial']),
  startedAt: z.iso.datetime(),
  finishedAt: z.iso.datetime(),
  run: z.object({ workflowId: z.string(), firstExecutionRunId: z.string() }),
  server: z.object({
    version: z.string(),
    versionNum: count,
    systemIdentifier: z.string(),
    timeline: count,
    inRecovery: z.boolean(),
    /** Name of the role that initdb made (OID 10). */
    bootstrapRole: z.string(),
  }),
  tools: z.record(z.string(), z.string()),
  objects: z.array(objectSchema),
  parts: z.array(partSchema),
  /** The databases of one pg_dumpall file are not one common snapshot: each has its own `snapshotAt`. */
  databases: z.array(databaseSchema),
  roles: z.array(roleSchema),
  tablespaces: z.array(z.object({ name: z.string(), location: z.string() })),
  /** What a person should know though the dump went well. */
  warnings: z.array(z.string()),
  /** Room for an Ed25519 signature. */
  signature: z.null(),
});

/**
 * What a manifest names is what a prune deletes and a restore reads, and anybody who can write to a mount can write
 * one: it may name its own files only, and parts that lie inside them.
 */
export const manifestSchema = manifestShape.superRefine((manifest, context) => {
  const refuse = (path: (string | number)[], message: string) => {
    context.addIssue({ code: 'custom', path, message });
  };
  const bytesOf = new Map(manifest.objects.map(({ key, bytes }) => [key, bytes]));
  for (const [index, { key }] of manifest.objects.entries()) {
    if (!isNamedAfter(key, manifest.id)) refuse(['objects', index, 'key'], "must be named after the backup's id");
  }
  for (const [index, { object, offset, length }] of manifest.parts.entries()) {
    const bytes = bytesOf.get(object);
    if (bytes === undefined) refuse(['parts', index, 'object'], "must be one of the backup's objects");
    else if (offset + length > bytes)
      refuse(['parts', index, 'length'], `must lie within the object's ${String(bytes)} bytes`);
  }
});

/** `<id>.…`; of what others left also `<id>` itself, or in a directory `<id>`: pg_dump's directory format. */
const isNamedAfter = (key: string, id: string) => {
  const [name = '', directory] = key.split('/').reverse();
  return name === id || name.startsWith(`${id}.`) || directory === id;
};

export type Manifest = Readonly<z.infer<typeof manifestSchema>>;
export type Part = Readonly<z.infer<typeof partSchema>>;
export type DatabaseRecord = Readonly<z.infer<typeof databaseSchema>>;
export type RoleRecord = Readonly<z.infer<typeof roleSchema>>;
export type StoredObject = Readonly<z.infer<typeof objectSchema>>;
export type Extension = Readonly<z.infer<typeof extensionSchema>>;

export const totalBytes = (manifest: Manifest) => manifest.objects.reduce((sum, object) => sum + object.bytes, 0);

/** Whether pg_restore reads it, not psql. */
export const isArchive = ({ format }: Pick<Part, 'format'>) => format !== undefined && format !== 'plain';

/** The part of a database, if the backup holds it whole. */
export function partOf(manifest: Manifest, name: Part['name'], database?: string): Part | undefined {
  return manifest.parts.find((part) => part.name === name && part.database === database);
}

export function holdsWhole(manifest: Manifest, database: string): boolean {
  return manifest.databases.some((record) => record.name === database && record.status === 'dumped');
}

/** The same manifest under another id, its objects and parts under other keys: for a name that was taken. */
export function renamed(manifest: Manifest, id: string, keys: ReadonlyMap<string, string>): Manifest {
  const renameKey = (key: string) => keys.get(key) ?? key;
  return {
    ...manifest,
    id,
    objects: manifest.objects.map((object) => ({ ...object, key: renameKey(object.key) })),
    parts: manifest.parts.map((part) => ({ ...part, object: renameKey(part.object) })),
  };
}
