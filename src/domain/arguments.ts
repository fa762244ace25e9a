import { z } from 'zod';
import { HoldfastError } from './errors.ts';
import { explainShortly } from './explain.ts';
import { wellFormed } from './format.ts';
import { backupIdSchema, nameSchema } from './ids.ts';

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
  })
  .refine((argument) => argument.into === undefined || argument.database !== undefined, {
    path: ['into'],
    message: 'goes with database: it names the copy of one database',
  });

export type BackupArgument = z.infer<typeof backupArgument>;
export type PruneArgument = z.infer<typeof pruneArgument>;
export type RestoreArgument = z.infer<typeof restoreArgument>;

const examples = {
  backup: '{"policy":"jigga-daily"}',
  prune: '{"policy":"jigga-daily","dryRun":true}',
  restore: '{"cluster":"jigga","backup":"latest","database":"gatus"}',
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
