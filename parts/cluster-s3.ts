/** The S3 server of the end-to-end tests' cluster. */
import { randomBytes } from 'node:crypto';
import process from 'node:process';
import { S3 } from '@aws-sdk/client-s3';

// Which Node is used here is not for the SDK to warn of.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

/** How to reach it, as HOLDFAST_E2E_CLUSTER says it. */
export type S3Facts = Pick<ClusterS3, 'endpoint' | 'region' | 'accessKeyId' | 'secretAccessKey'>;

export interface ClusterS3 {
  /** Such as http://10.250.0.1:7070, the same for pods and for tests. */
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  client(): S3;
  /** Makes an empty bucket and answers with its name, which begins with the label. It is emptied and removed by `remove`. */
  makeBucket(label: string): Promise<{ readonly name: string; remove(): Promise<void> }>;
}

/** With everything allowed. */
export function clusterS3(facts: S3Facts): ClusterS3 {
  const { endpoint, region, accessKeyId, secretAccessKey } = facts;
  const client = () =>
    new S3({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey }, maxAttempts: 1 });
  return {
    ...facts,
    client,
    async makeBucket(label) {
      const Bucket = `${label}-${randomBytes(4).toString('hex')}`;
      const s3Client = client();
      await s3Client.createBucket({ Bucket });
      return {
        name: Bucket,
        async remove() {
          for (;;) {
            const { Contents = [] } = await s3Client.listObjectsV2({ Bucket });
            if (Contents.length === 0) break;
            for (const { Key } of Contents) await s3Client.deleteObject({ Bucket, Key });
          }
          await s3Client.deleteBucket({ Bucket });
          s3Client.destroy();
        },
      };
    },
  };
}
