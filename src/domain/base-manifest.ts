import { z } from 'zod';
import { extensionSchema, objectSchema } from './manifest.ts';
import { nameSchema, plainIdSchema } from './ids.ts';
import { lsnSchema, segmentBytesSchema } from './wal.ts';

/**
 * What a base backup is, written beside its bytes as the last step: no manifest, no backup. Version 1. Its objects lie
 * in a directory of their own, `<cluster>/physical/<system identifier>/<id>/`.
 */

const count = z.number().int().nonnegative();

/** How an archive or file is compressed in the repository; lz4 only by a server without zstd. */
const compression = z.enum(['zstd', 'lz4', 'gzip', 'none']);

export const archiveSchema = objectSchema.extend({
  /** null: the data directory itself; else the tablespace's OID. */
  tablespace: z.number().int().positive().nullable(),
  compression,
  /** Bytes of the tar before compression, where the server told; null where it compressed and didn't. */
  plainBytes: count.nullable(),
});

export const baseManifestSchema = z
  .object({
    version: z.literal(1),
    id: plainIdSchema,
    installation: nameSchema,
    cluster: nameSchema,
    policy: nameSchema,
    method: z.literal('base'),
    status: z.literal('complete'),
    /** By the worker's clock. */
    startedAt: z.iso.datetime(),
    finishedAt: z.iso.datetime(),
    run: z.object({ workflowId: z.string(), firstExecutionRunId: z.string() }),
    server: z.object({
      version: z.string(),
      versionNum: count,
      systemIdentifier: z.string().regex(/^[0-9]{1,20}$/),
      /** Taken from a standby. */
      inRecovery: z.boolean(),
      segmentBytes: segmentBytesSchema,
      dataChecksums: z.boolean(),
    }),
    /** full, or only what changed since its parent. */
    type: z.enum(['full', 'incremental']),
    /** The backup that this one is an increment of. */
    parent: plainIdSchema.nullable(),
    /** WAL from here on is needed to make it consistent, … */
    startLsn: lsnSchema,
    startTimeline: z.number().int().positive(),
    /** … up to here at least. */
    stopLsn: lsnSchema,
    stopTimeline: z.number().int().positive(),
    /**
     * The next transaction's number with its epoch, in decimal digits, read when the backup had ended: who looks for a
     * transaction from there on may begin with this backup. Not said: nobody read it.
     */
    nextXid: z
      .string()
      .regex(/^[0-9]{1,20}$/)
      .optional(),
    /** By the server's clock, when the backup began and when it had ended: recovery to a time reaches from here on. */
    serverStartedAt: z.iso.datetime(),
    serverFinishedAt: z.iso.datetime(),
    /** Its own archive of the data directory holds the WAL from start to stop: it can be restored without another. */
    includesWal: z.boolean(),
    archives: z.array(archiveSchema).min(1),
    /** PostgreSQL's own backup_manifest. */
    backupManifest: objectSchema.extend({ compression }),
    /** postgresql.conf, pg_hba.conf, pg_ident.conf and what they include, as a tar; null where they couldn't be read. */
    configuration: objectSchema.extend({ compression, files: z.array(z.string()) }).nullable(),
    /** Settings that a recovery has to have at least as high, and what a person wants to know: name to value. */
    settings: z.record(z.string(), z.string()),
    /** Every object of the backup except its manifest. */
    objects: z.array(objectSchema),
    databases: z.array(
      z.object({
        name: z.string(),
        oid: count,
        bytes: count,
        encoding: z.string(),
        collate: z.string(),
        localeProvider: z.string(),
        collationVersion: z.string().nullable(),
      }),
    ),
    /** Of the database 'postgres', and what shared_preload_libraries names is in settings. */
    extensions: z.array(extensionSchema),
    tablespaces: z.array(z.object({ name: z.string(), oid: count, location: z.string() })),
    tools: z.record(z.string(), z.string()),
    warnings: z.array(z.string()),
    /** Room for an Ed25519 signature. */
    signature: z.null(),
  })
  .superRefine((manifest, context) => {
    const refuse = (path: (string | number)[], message: string) => {
      context.addIssue({ code: 'custom', path, message });
    };
    const directory = `/${manifest.server.systemIdentifier}/${manifest.id}/`;
    const known = new Set(manifest.objects.map(({ key }) => key));
    for (const [index, { key }] of manifest.objects.entries())
      if (!key.slice(0, key.lastIndexOf('/') + 1).endsWith(directory))
        refuse(['objects', index, 'key'], `must lie in the backup's own directory, …${directory}`);
    for (const [index, { key }] of manifest.archives.entries())
      if (!known.has(key)) refuse(['archives', index, 'key'], "must be one of the backup's objects");
    if (!known.has(manifest.backupManifest.key))
      refuse(['backupManifest', 'key'], "must be one of the backup's objects");
    if (manifest.configuration !== null && !known.has(manifest.configuration.key))
      refuse(['configuration', 'key'], "must be one of the backup's objects");
    if ((manifest.type === 'incremental') !== (manifest.parent !== null))
      refuse(['parent'], 'must be there for an incremental backup, and only then');
    if (manifest.parent === manifest.id) refuse(['parent'], 'must be another backup');
  });

export type BaseManifest = Readonly<z.infer<typeof baseManifestSchema>>;
export type BaseArchive = Readonly<z.infer<typeof archiveSchema>>;

/** A base backup in a repository. */
export interface BaseBackup {
  readonly manifest: BaseManifest;
  readonly manifestKey: string;
  /** Outcome of its newest verification (digests), and of its newest drill. */
  readonly verification: 'passed' | 'failed' | 'none';
  readonly drill: 'passed' | 'failed' | 'none';
}

export const physicalDirectory = (cluster: string, systemIdentifier: string) =>
  `${cluster}/physical/${systemIdentifier}`;

/** `<cluster>/physical/<system identifier>/<id>/manifest.json` */
export const baseManifestKey = (cluster: string, systemIdentifier: string, id: string) =>
  `${physicalDirectory(cluster, systemIdentifier)}/${id}/manifest.json`;
