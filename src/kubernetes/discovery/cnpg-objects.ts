import { z } from 'zod';

/** What discovery reads of CloudNativePG's objects (as of 1.30, and of its Barman Cloud plugin); the rest stays unread. */

const metadata = z.object({ name: z.string(), namespace: z.string() });
const named = z.object({ name: z.string() });
const keyOfSecret = z.object({ name: z.string(), key: z.string() });

const storeSchema = z.object({
  destinationPath: z.string(),
  endpointURL: z.string().optional(),
  s3Credentials: z.object({ accessKeyId: keyOfSecret.optional(), secretAccessKey: keyOfSecret.optional() }).optional(),
});
export type Store = z.infer<typeof storeSchema>;

export const clusterSchema = z.object({
  metadata,
  spec: z.object({
    instances: z.number(),
    imageName: z.string().optional(),
    imageCatalogRef: z.object({ major: z.number() }).optional(),
    enableSuperuserAccess: z.boolean().optional(),
    superuserSecret: named.optional(),
    storage: z.object({ size: z.string().optional() }).optional(),
    replica: z
      .object({ enabled: z.boolean().optional(), primary: z.string().optional(), self: z.string().optional() })
      .optional(),
    plugins: z
      .array(
        z.object({
          name: z.string(),
          enabled: z.boolean().optional(),
          parameters: z.record(z.string(), z.string()).optional(),
        }),
      )
      .optional(),
    backup: z
      .object({
        barmanObjectStore: storeSchema.optional(),
        volumeSnapshot: z.object({ className: z.string().optional() }).optional(),
        retentionPolicy: z.string().optional(),
      })
      .optional(),
  }),
  status: z
    .object({
      phase: z.string().optional(),
      currentPrimary: z.string().optional(),
      image: z.string().optional(),
      pgDataImageInfo: z.object({ majorVersion: z.number().optional() }).optional(),
    })
    .optional(),
});
export type ClusterObject = z.infer<typeof clusterSchema>;

export const scheduledBackupSchema = z.object({
  metadata: metadata.extend({ resourceVersion: z.string().optional() }),
  spec: z.object({
    schedule: z.string(),
    cluster: named,
    method: z.string().default('barmanObjectStore'),
    pluginConfiguration: z
      .object({ name: z.string(), parameters: z.record(z.string(), z.string()).optional() })
      .optional(),
    target: z.string().optional(),
    online: z.boolean().optional(),
    onlineConfiguration: z.looseObject({}).optional(),
    backupOwnerReference: z.string().default('none'),
    immediate: z.boolean().optional(),
    suspend: z.boolean().optional(),
  }),
});
export type ScheduledBackupObject = z.infer<typeof scheduledBackupSchema>;

export const poolerSchema = z.object({
  metadata,
  spec: z.object({ cluster: named, type: z.string().default('rw') }),
});

export const objectStoreSchema = z.object({
  metadata,
  spec: z.object({ configuration: storeSchema, retentionPolicy: z.string().optional() }),
});
export type ObjectStoreObject = z.infer<typeof objectStoreSchema>;
