import { afterAll, beforeAll } from '@jest/globals';
import { startS3, type S3Server } from '../../parts/s3-server.ts';
import type { S3Spec } from '../../src/domain/specs.ts';
import { describeRepository, type OpenedRepository } from './contract.ts';
import { newSpec, openMarked } from './s3-scratch.ts';

let plain: S3Server;
let versioned: S3Server;
beforeAll(async () => {
  [plain, versioned] = await Promise.all([startS3(), startS3({ versioning: true })]);
});
afterAll(async () => {
  await Promise.all([plain.stop(), versioned.stop()]);
});

async function opened(server: S3Server, more: Partial<S3Spec['s3']> = {}): Promise<OpenedRepository> {
  const repository = await openMarked(server, newSpec(server, more), { idleTimeoutMs: 10_000 });
  return { repository, close: () => Promise.resolve() };
}

describeRepository('an S3 bucket', () => opened(plain));
describeRepository('an S3 bucket that keeps versions', () => opened(versioned));
