import type { SecretReference } from '../../src/domain/config.ts';
import type { S3Spec } from '../../src/domain/specs.ts';
import type { Repository } from '../../src/storage/repository.ts';
import type { S3Options } from '../../src/storage/s3/connection.ts';
import { initialiseS3 } from '../../src/storage/s3/initialise.ts';
import { openS3 } from '../../src/storage/s3/s3.ts';
import type { S3Server } from '../../parts/s3-server.ts';

export const mebibyte = 1024 * 1024;
/** S3 takes none that are smaller, but the last. */
export const smallestPart = 5 * mebibyte;

/** Tests don't wait between tries, but as long as a busy machine needs for an answer. */
export const impatient: S3Options = {
  connectTimeoutMs: 20_000,
  idleTimeoutMs: 20_000,
  completeTimeoutMs: 20_000,
  attempts: 3,
  pauseMs: 5,
};

let turn = 0;

/** A place of its own in the server's bucket. */
export function newSpec(
  { bucket, endpoint, region }: Pick<S3Server, 'bucket' | 'endpoint' | 'region'>,
  more: Partial<S3Spec['s3']> = {},
): S3Spec {
  turn += 1;
  const s3 = {
    bucket,
    endpoint,
    region,
    prefix: `test/${String(turn)}`,
    pathStyle: true,
    maxParts: 10_000,
    partSize: smallestPart,
    credentials: { accessKeyId: { env: 'id' }, secretAccessKey: { env: 'secret' }, sessionToken: null },
    ...more,
  };
  return { name: 'test', s3 };
}

/** Reads the keys that the server has at that moment. */
export const keysOf =
  (server: Pick<S3Server, 'accessKeyId' | 'secretAccessKey'>) =>
  ({ env }: SecretReference): Promise<string> =>
    Promise.resolve(env === 'id' ? server.accessKeyId : server.secretAccessKey);

export const now = new Date('2026-11-21T02:00:00Z');

export async function openMarked(server: S3Server, spec: S3Spec, options: S3Options = impatient): Promise<Repository> {
  await initialiseS3(spec, keysOf(server), { now, ...options });
  return openS3(spec, keysOf(server), options);
}
