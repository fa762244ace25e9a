import { z } from 'zod';
import { HoldfastError } from './errors.ts';
import { explainShortly } from './explain.ts';
import { wellFormed } from './format.ts';
import { backupIdSchema, nameSchema } from './ids.ts';
import { allowanceSchema } from './manifest.ts';

/**
 * What starts a workflow: ONE JSON value, typed by hand into the Temporal UI or `temporal workflow start`, so it is
 * unknown until a schema has seen it.
 */

const databaseName = z
  .string()
  .min(1)
  .refine((name) => new TextEncoder().encode(name).length <= 63, "must be at most 63 bytes, PostgreSQL's limit")
  .refine((name) => !name.includes('\0'), 'must not hold a NUL character')
  .refine((name) => name === wellFormed(name), 'must not hold half a character');

/** "schema.table", or both apart where a name holds a dot. */
const tableName = z.union(
  [
    z
      .string()
      .regex(/^[^.]+\.[^.]+$/s)
      .transform((text) => {
        const [schema = '', table = ''] = text.split('.');
        return { schema, table };
      })
      .pipe(z.strictObject({ schema: databaseName, table: databaseName })),
    z.strictObject({ schema: databaseName, table: databaseName }),
  ],
  { error: 'must be "schema.table", or {"schema":…,"table":…} where a name holds a dot' },
);

export const backupArgument = z.strictObject({ policy: nameSchema });
export const pruneArgument = z.strictObject({ policy: nameSchema, dryRun: z.boolean().default(false) });

export const restoreArgument = z
  .strictObject({
    /** Whose backup. */
    cluster: nameSchema,
    backup: backupIdSchema.default('latest'),
    /** One database; without it the whole cluster is restored, into an empty one. */
    database: databaseName.optional(),
    /** Restore under this name, which must be free, and swap nothing. */
    into: databaseName.optional(),
    /** Restore onto this cluster; default: the one that the backup is of. */
    onto: nameSchema.optional(),
    /** Whose owner, privileges, settings and comment the restored database gets at the swap. */
    properties: z.enum(['live', 'backup']).default('live'),
    /** What to do about roles that the target lacks. */
    missingRoles: z.enum(['fail', 'create']).default('fail'),
    requestedBy: z.string().max(200).optional(),
    /** Of the database, only these tables' rows (and every definition). */
    tables: z.array(tableName).min(1).max(200).optional(),
    /** Of the database, only these schemas' rows (and every definition). */
    schemas: z.array(databaseName).min(1).max(200).optional(),
    /** Put what tables and schemas name into this new schema of the live database. */
    intoSchema: databaseName.optional(),
    /** The backup may be a dump that nobody vouches for: it is read first, and the plan asks for approval. */
    foreign: z.boolean().optional(),
    /** What of such a dump may run although a dump doesn't usually hold it. */
    allow: z.array(allowanceSchema).max(3).optional(),
  })
  .refine((argument) => argument.into === undefined || argument.database !== undefined, {
    path: ['into'],
    message: 'goes with database: it names the copy of one database',
  })
  .superRefine((argument, context) => {
    const refuse = (path: string, message: string) => {
      context.addIssue({ code: 'custom', path: [path], message });
    };
    const chosen = argument.tables !== undefined ? 'tables' : argument.schemas !== undefined ? 'schemas' : undefined;
    if (chosen !== undefined) {
      if (argument.database === undefined)
        refuse(chosen, 'goes with database: it names what of one database is restored');
      if ((argument.into === undefined) === (argument.intoSchema === undefined))
        refuse(chosen, 'goes with exactly one of into (a new database) and intoSchema (a new schema in the live one)');
    } else if (argument.intoSchema !== undefined) {
      refuse('intoSchema', 'goes with tables or schemas: it names where they are put');
    }
    if (argument.allow !== undefined && argument.foreign !== true)
      refuse('allow', 'goes with "foreign":true: what the catalog vouches for needs no permission');
  });

export const adoptArgument = z.strictObject({
  policy: nameSchema,
  /** As listed by 'holdfast backups list': the file's name without its ending. */
  dump: backupIdSchema,
  /** The database's name, where a dump of one database doesn't tell it; default: as the dump is called. */
  database: databaseName.optional(),
  by: z.string().min(1).max(200),
  reason: z.string().min(1).max(1000),
  allow: z.array(allowanceSchema).max(3).default([]),
});
export type AdoptArgument = z.infer<typeof adoptArgument>;

export const archiveWalArgument = z.strictObject({ cluster: nameSchema });
export const drillArgument = z.strictObject({ policy: nameSchema });
export type ArchiveWalArgument = z.infer<typeof archiveWalArgument>;
export type DrillArgument = z.infer<typeof drillArgument>;

export type BackupArgument = z.infer<typeof backupArgument>;
export type PruneArgument = z.infer<typeof pruneArgument>;
export type RestoreArgument = z.infer<typeof restoreArgument>;

const examples = {
  archiveWal: '{"cluster":"infra"}',
  backup: '{"policy":"jigga-daily"}',
  drill: '{"policy":"jigga-daily"}',
  prune: '{"policy":"jigga-daily","dryRun":true}',
  recover: '{"cluster":"infra","target":{"time":"2025-10-30T14:00:00+09:00"}}',
  restore: '{"cluster":"jigga","backup":"latest","database":"gatus"}',
  adopt:
    '{"policy":"jigga-daily","dump":"postgres-backup-20251030-020000","by":"alice","reason":"from the old cron job"}',
} as const;

/** Throws InvalidArgument with each member's path, what was expected, and an example. */
export function parseArgument<T>(workflow: keyof typeof examples, schema: z.ZodType<T>, value: unknown): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new HoldfastError(
    'InvalidArgument',
    `the argument of workflow ${workflow} is not valid: ${explainShortly(parsed.error, value)}`,
    `give one JSON object, for example ${examples[workflow]}`,
  );
}
