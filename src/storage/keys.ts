import { randomBytes } from 'node:crypto';
import { HoldfastError } from '../domain/errors.ts';
import type { StageOwner } from './repository.ts';

/** A staged file's name is longer than its key's last part, and has to stay below 255 bytes. */
const maxPartBytes = 180;
const maxKeyBytes = 1_024;

/** Control characters, the other systems' separator, and halves of characters. */
const forbidden = /[\p{Cc}\\\p{Surrogate}]/u;

/** Why a text is no key; undefined for one that is. */
export function keyFault(key: string): string | undefined {
  if (key === '') return 'it is empty';
  if (forbidden.test(key)) return 'it holds a control character or a backslash';
  if (Buffer.byteLength(key) > maxKeyBytes) return `it is longer than ${String(maxKeyBytes)} bytes`;
  for (const part of key.split('/')) {
    if (part === '') return 'it begins or ends with a slash, or has two in a row';
    if (part.startsWith('.')) return "a part of it begins with '.'";
    if (Buffer.byteLength(part) > maxPartBytes) return `a part of it is longer than ${String(maxPartBytes)} bytes`;
  }
  return undefined;
}

/** InvalidArgument for what isn't a key: a path out of the repository above all. */
export function checkKey(key: string): void {
  const fault = keyFault(key);
  if (fault !== undefined) {
    throw new HoldfastError(
      'InvalidArgument',
      `${JSON.stringify(key)} is not an object's key: ${fault}`,
      "give a backup's id or an object's key as they are listed",
    );
  }
}

/** A prefix is the beginning of a key: '' too, and one that ends with '/'. */
export function checkPrefix(prefix: string): void {
  if (prefix !== '') checkKey(prefix.endsWith('/') ? prefix.slice(0, -1) : prefix);
}

/** Splits a key (or prefix) at its last slash. */
export function splitKey(key: string): { readonly folder: string; readonly name: string } {
  const at = key.lastIndexOf('/');
  return at === -1 ? { folder: '', name: key } : { folder: key.slice(0, at), name: key.slice(at + 1) };
}

export function checkOwner({ run, attempt }: { readonly run: string; readonly attempt?: number | undefined }): void {
  const attemptIsFine = attempt === undefined || (Number.isInteger(attempt) && attempt >= 0 && attempt <= 999_999);
  if (!/^[A-Za-z0-9-]{1,32}$/.test(run) || !attemptIsFine) {
    throw new HoldfastError(
      'InvalidArgument',
      `${JSON.stringify({ run, attempt })} does not name a run and an attempt`,
      'a run is 1 to 32 letters, digits and hyphens',
    );
  }
}

const stagedName = /^\.holdfast-staged\.([A-Za-z0-9-]{1,32})\.(\d{1,6})\.[0-9a-f]{8}\.(.+)$/s;

/**
 * A hidden name in the object's own directory that nobody else has: another attempt, even one that doesn't know that it
 * was given up, writes to a file of its own.
 */
export function makeStagedName(name: string, { run, attempt }: StageOwner): string {
  return `.holdfast-staged.${run}.${String(attempt)}.${randomBytes(4).toString('hex')}.${name}`;
}

/** Undoes makeStagedName; undefined for any other file. */
export function parseStagedName(file: string): (StageOwner & { readonly name: string }) | undefined {
  const match = stagedName.exec(file);
  const [, run, attempt, name] = match ?? [];
  if (
    run === undefined ||
    attempt === undefined ||
    name === undefined ||
    keyFault(name) !== undefined ||
    name.includes('/')
  )
    return undefined;
  return { run, attempt: Number(attempt), name };
}
