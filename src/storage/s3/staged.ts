import { HoldfastError } from '../../domain/errors.ts';
import type { ListedStaged } from '../repository.ts';
import type { Connection } from './connection.ts';
import { listAll } from './listing.ts';
import { parsePiece, type Piece, pieceKey, stagedRoot, type StagedThing } from './names.ts';
import { readSmall } from './reading.ts';
import { removeHidden } from './removing.ts';
import { abortUpload, partsOf, uploadsTo } from './uploads.ts';

/** What lies hidden of one staged thing. */
interface Found {
  readonly thing: StagedThing;
  readonly pieces: ReadonlySet<Piece>;
  /** Of its body. */
  readonly bytes: number;
  /** When something of it was written last. */
  readonly modifiedAt: Date;
}

/** @param prefix stagedRoot, or what ownerPrefix() says */
async function findStaged(connection: Connection, prefix: string): Promise<Found[]> {
  const found = new Map<string, Found>();
  for await (const { key, bytes, modifiedAt } of listAll(connection, prefix)) {
    const parsed = parsePiece(key);
    if (parsed === undefined) continue;
    const { thing, piece } = parsed;
    const known = found.get(nameOf(thing));
    found.set(nameOf(thing), {
      thing,
      pieces: new Set([...(known?.pieces ?? []), piece]),
      bytes: Math.max(known?.bytes ?? 0, piece === 'body' ? bytes : 0),
      modifiedAt: known !== undefined && known.modifiedAt > modifiedAt ? known.modifiedAt : modifiedAt,
    });
  }
  return [...found.values()];
}

const nameOf = (thing: StagedThing) => pieceKey(thing, 'ticket');

/** Everything that is staged. The bytes of an upload are those of its parts. */
export async function* listStaged(connection: Connection): AsyncGenerator<ListedStaged> {
  for (const { thing, pieces, bytes, modifiedAt } of await findStaged(connection, stagedRoot)) {
    const { key, run, attempt } = thing;
    const uploadId = pieces.has('upload') ? await uploadIdOf(connection, thing) : undefined;
    const parts = uploadId === undefined ? undefined : await partsOf(connection, key, uploadId);
    const uploaded = (parts ?? []).reduce((sum, part) => sum + part.bytes, 0);
    yield { key, run, attempt, bytes: bytes + uploaded, modifiedAt };
  }
}

/** Throws away what is staged below a prefix; returns how many things that were. */
export async function sweepStaged(connection: Connection, prefix: string): Promise<number> {
  const found = await findStaged(connection, prefix);
  for (const { thing } of found) await discard(connection, thing);
  return found.length;
}

/**
 * Removes what is hidden of a staged thing, its multipart upload first and its ticket last, so that whatever ends it on
 * the way, the rest is still known.
 */
export async function discard(
  connection: Connection,
  thing: StagedThing,
  pieces: ReadonlySet<Piece> = new Set(['body', 'upload', 'ticket']),
): Promise<void> {
  if (pieces.has('upload') || (pieces.has('ticket') && !pieces.has('body'))) await abandonUploads(connection, thing);
  for (const piece of ['body', 'upload', 'ticket'] as const) {
    if (pieces.has(piece)) await removeHidden(connection, pieceKey(thing, piece));
  }
}

/**
 * Aborts the upload of a thing, and uploads to its key that nobody wrote down: of a writer that died between beginning
 * one and writing it down, or whose answer was lost. While another writer of the key has none written down yet, such an
 * upload may be that one's: then it is left to whoever throws that one away.
 */
async function abandonUploads(connection: Connection, thing: StagedThing): Promise<void> {
  const { key } = thing;
  // In this order: every upload that is seen here had its ticket before, so that the second listing shows that.
  const uploads = await uploadsTo(connection, key);
  const own = await uploadIdOf(connection, thing);
  if (own !== undefined) await abortUpload(connection, key, own);
  const unclaimed = new Set(uploads.filter((id) => id !== own));
  if (unclaimed.size === 0) return;
  const rivals = (await findStaged(connection, stagedRoot)).filter(
    (other) => other.thing.key === key && nameOf(other.thing) !== nameOf(thing),
  );
  for (const rival of rivals) {
    const theirs = await uploadIdOf(connection, rival.thing);
    if (theirs !== undefined) unclaimed.delete(theirs);
    else if (rival.pieces.has('ticket') && !rival.pieces.has('body')) return;
  }
  for (const uploadId of unclaimed) await abortUpload(connection, key, uploadId);
}

/** What was written down about a thing's multipart upload; undefined if there is none. */
async function uploadIdOf(connection: Connection, thing: StagedThing): Promise<string | undefined> {
  return (await readSmall(connection, pieceKey(thing, 'upload')))?.body.toString('utf8');
}

export function gone({ place }: Connection, key: string): HoldfastError {
  return new HoldfastError(
    'ObjectDamaged',
    `${key} was staged in ${place} and is gone`,
    'run again; see whether somebody, or a lifecycle rule, cleans up unfinished uploads or hidden objects too soon',
  );
}
