/** A real S3 server over a directory, for the demo, the tests and the bench. */
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { S3 } from '@aws-sdk/client-s3';
import { findVersitygw } from '../scripts/setup/places.mjs';
import { freePort } from './free-port.ts';
import { end, hasEnded, raise } from './offspring.ts';
import { makeScratch } from './scratch.ts';

// Which Node is used here is not for the SDK to warn of.
process.env['AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED'] ??= 'true';

const START_TIMEOUT_MS = 180_000;
const REGION = 'us-east-1';

export interface S3Wishes {
  /** The bucket to make; `backups` by default. */
  readonly bucket?: string;
  /** The bucket keeps every version of an object. */
  readonly versioning?: boolean;
  /** The bucket takes retentions and legal holds; it keeps versions then, too. */
  readonly objectLock?: boolean;
  /** Where the server keeps its buckets; by default it goes away with the server. */
  readonly directory?: string;
  /** A free one by default. */
  readonly port?: number;
}

export interface S3Keys {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface S3Server extends S3Keys {
  /** Such as http://127.0.0.1:7070 */
  readonly endpoint: string;
  readonly bucket: string;
  readonly region: string;
  /** Where the bucket's objects lie as files, for who wants to look at them or to damage them. */
  readonly directory: string;
  /** A client with everything allowed. */
  client(): S3;
  /** Kills it without warning and starts it again on the same port, with what it has. */
  restart(): Promise<void>;
  /** Gives it other keys, as fast as it can be restarted; the old ones are refused from then on. */
  rotate(): Promise<S3Keys>;
  stop(): Promise<void>;
}

/** Starts it on the loopback address, with one empty bucket. It dies with this process. */
export async function startS3(wishes: S3Wishes = {}): Promise<S3Server> {
  const binary = findVersitygw();
  if (binary === undefined) throw new Error('there is no versitygw here. Type: node scripts/setup.mjs test');
  const { bucket = 'backups', objectLock = false, versioning = objectLock } = wishes;
  const scratch = await makeScratch('s3');
  const top = wishes.directory ?? join(scratch, 'buckets');
  const beside = join(scratch, 'versions');
  await mkdir(top, { recursive: true });
  await mkdir(beside, { recursive: true });
  const port = wishes.port ?? (await freePort());
  const endpoint = `http://127.0.0.1:${String(port)}`;
  const logFile = join(scratch, 'server.log');
  const args = [
    ...['--port', `127.0.0.1:${String(port)}`, '--region', REGION, '--health', '/health', '--keep-alive', '--quiet'],
    ...['posix', ...(versioning ? ['--versioning-dir', beside] : []), top],
  ];

  let keys = newKeys();
  let server: ChildProcess;
  const start = async (): Promise<void> => {
    // By the environment: everybody may read a command line.
    const environment = {
      PATH: process.env['PATH'] ?? '',
      ROOT_ACCESS_KEY_ID: keys.accessKeyId,
      ROOT_SECRET_ACCESS_KEY: keys.secretAccessKey,
    };
    server = raise({ command: binary, args, logFile, environment, atOurDeath: 'KILL' });
    try {
      await untilItServes(server, endpoint);
    } catch (error) {
      await end(server, 'SIGKILL');
      throw new Error(`versitygw at ${endpoint} did not start: ${lastLines(logFile)}`, { cause: error });
    }
  };
  const client = () =>
    new S3({ endpoint, region: REGION, forcePathStyle: true, credentials: { ...keys }, maxAttempts: 1 });
  const stop = async (): Promise<void> => {
    await end(server, 'SIGKILL');
    await rm(scratch, { recursive: true, force: true });
  };

  try {
    await start();
    await makeBucket(client(), bucket, { versioning, objectLock });
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    endpoint,
    bucket,
    region: REGION,
    directory: join(top, bucket),
    get accessKeyId() {
      return keys.accessKeyId;
    },
    get secretAccessKey() {
      return keys.secretAccessKey;
    },
    client,
    async restart() {
      await end(server, 'SIGKILL');
      await start();
    },
    async rotate() {
      keys = newKeys();
      await end(server, 'SIGKILL');
      await start();
      return { ...keys };
    },
    stop,
  };
}

function newKeys(): S3Keys {
  return { accessKeyId: `key${randomBytes(8).toString('hex')}`, secretAccessKey: randomBytes(20).toString('hex') };
}

async function makeBucket(
  client: S3,
  bucket: string,
  { versioning, objectLock }: { readonly versioning: boolean; readonly objectLock: boolean },
): Promise<void> {
  try {
    await client.createBucket({ Bucket: bucket, ...(objectLock ? { ObjectLockEnabledForBucket: true } : {}) });
    if (versioning && !objectLock) {
      await client.putBucketVersioning({ Bucket: bucket, VersioningConfiguration: { Status: 'Enabled' } });
    }
  } catch (error) {
    // The directory was given, and has it.
    if ((error as Error).name !== 'BucketAlreadyOwnedByYou') throw error;
  } finally {
    client.destroy();
  }
}

async function untilItServes(server: ChildProcess, endpoint: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    try {
      if ((await fetch(`${endpoint}/health`)).ok) return;
    } catch (error) {
      if (hasEnded(server)) throw new Error('it ended at once', { cause: error });
      if (Date.now() > deadline) throw new Error('it did not answer in time', { cause: error });
    }
    await sleep(20);
  }
}

function lastLines(logFile: string): string {
  return readFileSync(logFile, 'utf8').trimEnd().split('\n').slice(-5).join('\n');
}
