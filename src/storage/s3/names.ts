import { randomBytes } from 'node:crypto';
import { sha256Hex } from '../../domain/canonical.ts';
import { HoldfastError } from '../../domain/errors.ts';
import { checkKey, keyFault } from '../keys.ts';
import type { StageOwner } from '../repository.ts';

/**
 * What is staged in a bucket. Nothing that begins with a dot shows in a listing; below `.holdfast-staged/` lies, for
 * every object that is staged:
 *
 *     <run>.<attempt>.<nonce>/ticket/<key>   written first, removed last: what is staged is known as long as it is there
 *     <run>.<attempt>.<nonce>/upload/<key>   the id of a multipart upload to the final key
 *     <run>.<attempt>.<nonce>/body/<key>     the bytes themselves, of a small object
 *
 * stageSmall makes a body only.
 */
export const stagedRoot = '.holdfast-staged/';

export type Piece = 'ticket' | 'upload' | 'body';

/** One thing that is staged: its owner, told apart from the owner's others by the nonce, and what it will become. */
export interface StagedThing extends StageOwner {
  readonly nonce: string;
  readonly key: string;
}

export function newThing(key: string, { run, attempt }: StageOwner): StagedThing {
  return { key, run, attempt, nonce: randomBytes(4).toString('hex') };
}

export const pieceKey = ({ key, run, attempt, nonce }: StagedThing, piece: Piece) =>
  `${stagedRoot}${run}.${String(attempt)}.${nonce}/${piece}/${key}`;

/** What the hidden keys of an owner begin with; of an attempt, or of every attempt of a run. */
export const ownerPrefix = ({ run, attempt }: { readonly run: string; readonly attempt?: number }) =>
  `${stagedRoot}${run}.${attempt === undefined ? '' : `${String(attempt)}.`}`;

const pieceName = /^\.holdfast-staged\/([A-Za-z0-9-]{1,32})\.(\d{1,6})\.([0-9a-f]{8})\/(ticket|upload|body)\/(.+)$/s;

/** Undoes pieceKey; undefined for any other key. */
export function parsePiece(hiddenKey: string): { readonly thing: StagedThing; readonly piece: Piece } | undefined {
  const [, run, attempt, nonce, piece, key] = pieceName.exec(hiddenKey) ?? [];
  if (run === undefined || attempt === undefined || nonce === undefined || key === undefined) return undefined;
  if (keyFault(key) !== undefined) return undefined;
  return { thing: { run, attempt: Number(attempt), nonce, key }, piece: piece as Piece };
}

/** S3's limit, with the hidden names of what is staged below it. */
const maxFullKeyBytes = 1_024 - 80;

/** @param prefix of the repository in its bucket */
export function checkObjectKey(key: string, fullKey: string): void {
  checkKey(key);
  if (Buffer.byteLength(fullKey) <= maxFullKeyBytes) return;
  throw new HoldfastError(
    'InvalidArgument',
    `${JSON.stringify(key)} is not an object's key: with the repository's prefix it is longer than ${String(maxFullKeyBytes)} bytes`,
    "choose a shorter prefix in the repository, or a shorter 'path' in the policy",
  );
}

/** What finish() leaves for publish(), in a text that stays small whatever the number of parts. */
export type Token =
  | { readonly kind: 'small' | 'body'; readonly thing: StagedThing }
  | { readonly kind: 'parts'; readonly thing: StagedThing; readonly upload: FinishedUpload };

export interface FinishedUpload {
  readonly uploadId: string;
  /** The numbers of its parts, from first to last; those that a rollback took back lie between. */
  readonly ranges: readonly (readonly [number, number])[];
  /** SHA-256 over the ETags that the store gave the parts. */
  readonly etagsDigest: string;
  /** MD5 over the MD5s of the parts: the object's ETag, before a hyphen and the count, where ETags are MD5s. */
  readonly md5: string;
}

export function makeToken(token: Token): string {
  const { key, run, attempt, nonce } = token.thing;
  const parts = [token.kind, run, String(attempt), nonce, sha256Hex(key).slice(0, 8)];
  if (token.kind === 'parts') {
    const { uploadId, ranges, etagsDigest, md5 } = token.upload;
    const numbers = ranges.map(([first, last]) =>
      first === last ? String(first) : `${String(first)}-${String(last)}`,
    );
    parts.push(numbers.join('_'), etagsDigest, md5, Buffer.from(uploadId).toString('base64url'));
  }
  return parts.join('.');
}

const tokenText =
  /^(small|body|parts)\.([A-Za-z0-9-]{1,32})\.(\d{1,6})\.([0-9a-f]{8})\.([0-9a-f]{8})(?:\.([0-9_-]+)\.([0-9a-f]{64})\.([0-9a-f]{32})\.([A-Za-z0-9_-]+))?$/;

/** Throws InvalidArgument for what isn't a token of this key. */
export function parseToken(key: string, text: string): Token {
  checkKey(key);
  const [, kind, run, attempt, nonce, keyDigest, numbers, etagsDigest, md5, upload] = tokenText.exec(text) ?? [];
  if (
    run === undefined ||
    attempt === undefined ||
    nonce === undefined ||
    keyDigest !== sha256Hex(key).slice(0, 8) ||
    (kind === 'parts') !== (upload !== undefined)
  ) {
    throw new HoldfastError(
      'InvalidArgument',
      `${JSON.stringify(text)} does not name a staged ${key}`,
      'pass on what finish() returned',
    );
  }
  const thing = { key, run, attempt: Number(attempt), nonce };
  if (kind !== 'parts') return { kind: kind === 'small' ? 'small' : 'body', thing };
  const ranges = (numbers ?? '').split('_').map((range) => {
    const [first = Number.NaN, last = first] = range.split('-').map(Number);
    return [first, last] as const;
  });
  const uploadId = Buffer.from(upload ?? '', 'base64url').toString();
  return { kind, thing, upload: { uploadId, ranges, etagsDigest: etagsDigest ?? '', md5: md5 ?? '' } };
}

/** 1, 2, 3, 5 becomes [1, 3], [5, 5]. */
export function rangesOf(numbers: readonly number[]): [number, number][] {
  const ranges: [number, number][] = [];
  for (const number of numbers) {
    const last = ranges.at(-1);
    if (last?.[1] === number - 1) last[1] = number;
    else ranges.push([number, number]);
  }
  return ranges;
}

export const isWithin = (number: number, ranges: FinishedUpload['ranges']) =>
  ranges.some(([first, last]) => number >= first && number <= last);
