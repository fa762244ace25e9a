import { z } from 'zod';
import { parseArgument } from './arguments.ts';
import { wellFormed } from './format.ts';
import { nameSchema, plainIdSchema } from './ids.ts';
import { quantityBytes } from './quantity.ts';
import { recoveryTargetSchema } from './recovery-target.ts';

/** What starts the workflow `recover`: ONE JSON value, unknown until this schema has seen it. */

const directorySchema = z
  .string()
  .max(1000)
  .regex(
    /^\/(?!.*\/\/)(?!(.*\/)?\.{1,2}(\/|$)).*[^/]$/s,
    "must be an absolute path without '.', '..' and doubled slashes",
  )
  .refine((path) => !/\p{Cc}/u.test(path) && path === wellFormed(path), 'must not hold control characters');

const tablespaceName = z
  .string()
  .min(1)
  .refine((name) => new TextEncoder().encode(name).length <= 63, "must be at most 63 bytes, PostgreSQL's limit");

/** Whether two directories are the same, or one lies in the other. */
export const meet = (a: string, b: string) => a === b || a.startsWith(`${b}/`) || b.startsWith(`${a}/`);

/** Of the new Cluster, whose name becomes part of pods' and Services' names. */
const newClusterName = z
  .string()
  .regex(
    /^[a-z]([-a-z0-9]{0,48}[a-z0-9])?$/,
    'must be 1 to 50 lowercase letters, digits and hyphens, begin with a letter and end with a letter or digit',
  );

const quantity = z.string().refine((text) => (quantityBytes(text) ?? 0) > 0, 'must be a size such as "20Gi"');

export const recoverArgument = z
  .strictObject({
    /** Whose base backups and WAL. */
    cluster: nameSchema,
    target: recoveryTargetSchema,
    /** Id of the base backup to begin with; default, and latest: the newest that fits the target. */
    backup: plainIdSchema.transform((id) => (id === 'latest' ? undefined : id)).optional(),
    /** Into a new directory and under a new port, which is the default; both are chosen where they aren't given. */
    beside: z
      .strictObject({ directory: directorySchema.optional(), port: z.number().int().min(1024).max(65_535).optional() })
      .optional(),
    /** In the place of the cluster's own data directory, which is put aside. Needs an approval before anything stops. */
    inPlace: z.literal(true).optional(),
    /** Of a cluster that CloudNativePG runs: the new Cluster; what isn't given is as with its source. */
    into: z
      .strictObject({
        name: newClusterName.optional(),
        instances: z.number().int().min(1).max(100).optional(),
        storage: z
          .strictObject({ size: quantity.optional(), storageClass: z.string().min(1).max(253).optional() })
          .optional(),
      })
      .optional(),
    /** Where each tablespace of the backup goes: name to a new directory. In place: default where it was. */
    tablespaces: z.record(tablespaceName, directorySchema).default({}),
    requestedBy: z.string().max(200).optional(),
  })
  .superRefine((argument, context) => {
    const refuse = (path: string[], message: string) => {
      context.addIssue({ code: 'custom', path, message });
    };
    if (argument.inPlace === true && argument.beside !== undefined)
      refuse(['inPlace'], "doesn't go with beside: give one of them");
    const places = Object.entries(argument.tablespaces);
    for (const [index, [name, directory]] of places.entries()) {
      const other = places.slice(0, index).find(([, taken]) => meet(taken, directory));
      if (other) refuse(['tablespaces', name], `must be a directory of its own, apart from that of '${other[0]}'`);
      const data = argument.beside?.directory;
      if (data !== undefined && meet(data, directory))
        refuse(['tablespaces', name], 'must be a directory of its own, apart from beside.directory');
    }
  });

export type RecoverArgument = z.infer<typeof recoverArgument>;

/** Throws InvalidArgument with each member's path, what was expected, and an example. */
export const parseRecoverArgument = (value: unknown): RecoverArgument =>
  parseArgument('recover', recoverArgument, value);
