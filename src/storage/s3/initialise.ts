import { randomUUID } from 'node:crypto';
import type { SecretReference } from '../../domain/config.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { manifestSuffix, markerKey, readmeKey, tombstoneSuffix } from '../../domain/ids.ts';
import type { S3Spec } from '../../domain/specs.ts';
import type { Initialised } from '../initialise.ts';
import type { Marker } from '../marker.ts';
import { readmeText } from '../readme.ts';
import { Connection, type S3Options } from './connection.ts';
import { listAll } from './listing.ts';
import { findMarker, notMarked } from './marker.ts';
import { parsePiece } from './names.ts';
import { headOf } from './reading.ts';
import { putObject } from './writing.ts';

export interface InitialiseS3Options extends S3Options {
  readonly now: Date;
  /** Marks it even though backups of a repository lie in it: only when a person said so. */
  readonly evenIfUsed?: boolean;
}

/**
 * Makes a prefix of a bucket a repository: marker and README. The bucket has to exist. Idempotent; of two at the same
 * time one makes it, both return its id. Throws StoreNotMounted where the bucket is missing, or there is no marker but
 * what a repository leaves.
 */
export async function initialiseS3(
  spec: S3Spec,
  readSecret: (reference: SecretReference) => Promise<string>,
  { now, evenIfUsed = false, ...options }: InitialiseS3Options,
): Promise<Initialised> {
  const connection = new Connection(spec, readSecret, options);
  let created = false;
  if ((await findMarker(connection)) === undefined) {
    const trace = evenIfUsed ? undefined : await traceOfRepository(connection);
    if (trace !== undefined) throw used(connection, trace);
    const marker: Marker = { format: 1, id: randomUUID(), createdAt: now.toISOString() };
    const body = Buffer.from(`${JSON.stringify(marker)}\n`);
    created = (await putObject(connection, markerKey, body, { onlyNew: true })) !== 'taken';
  }
  // Read back also what was written just now: where the store let two write, one of them is left.
  const found = await findMarker(connection);
  if (found === undefined) throw notMarked(connection);
  // After the marker: a README without one then means that the marker was lost.
  if ((await headOf(connection, readmeKey)) === undefined) {
    await putObject(connection, readmeKey, Buffer.from(readmeText), { onlyNew: true });
  }
  return { id: found.marker.id, created };
}

/** The first thing in it that only a repository has. Dumps that somebody else made are none. */
async function traceOfRepository(connection: Connection): Promise<string | undefined> {
  for await (const { key } of listAll(connection, '')) {
    const staged = parsePiece(key);
    if (staged !== undefined) return `an unfinished ${staged.thing.key}`;
    if (key === readmeKey || key.endsWith(manifestSuffix) || key.endsWith(tombstoneSuffix)) return key;
  }
  return undefined;
}

function used({ place }: Connection, trace: string): HoldfastError {
  return new HoldfastError(
    'StoreNotMounted',
    `${place} has no ${markerKey}, but holds ${trace}: it is, or was, a repository`,
    `see whether bucket and prefix are the right ones; if this really is the whole repository, put the marker back as section 4 of ${readmeKey} says: an object ${markerKey} with {"format":1,"id":"<uuid>","createdAt":"<time, such as 2026-11-21T02:00:00Z>"}`,
  );
}
