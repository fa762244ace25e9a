/** What lies in a bucket, seen from outside: objects, hidden ones, and uploads that nobody has completed. */
import type { S3Server } from '../../parts/s3-server.ts';

export async function objectsIn(server: S3Server): Promise<string[]> {
  const client = server.client();
  try {
    const { Contents = [] } = await client.listObjectsV2({ Bucket: server.bucket });
    return Contents.map(({ Key = '' }) => Key).sort();
  } finally {
    client.destroy();
  }
}

export async function leftIn(server: S3Server): Promise<string[]> {
  const client = server.client();
  try {
    const { Uploads = [] } = await client.listMultipartUploads({ Bucket: server.bucket });
    const hidden = (await objectsIn(server)).filter((key) => /(^|\/)\./.test(key));
    return [...hidden, ...Uploads.map(({ Key = '' }) => `an upload of ${Key}`)];
  } finally {
    client.destroy();
  }
}
