import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { HoldfastError } from '../domain/errors.ts';
import { markerKey } from '../domain/ids.ts';
import { isMissing, storeError } from './errno.ts';

export const markerSchema = z.object({ format: z.literal(1), id: z.string().min(1), createdAt: z.iso.datetime() });
const anyFormat = z.object({ format: z.number().int() });
export type Marker = Readonly<z.infer<typeof markerSchema>>;

/** The marker of a directory. Throws StoreNotMounted where there is none, ObjectDamaged where it can't be read. */
export async function readMarker(directory: string): Promise<Marker> {
  let text: string;
  try {
    text = await readFile(join(directory, markerKey), 'utf8');
  } catch (error) {
    if (isMissing(error)) throw notMounted(directory);
    throw storeError(error, `reading the marker ${markerKey} of ${directory}`);
  }
  return parseMarker(text, directory);
}

/** @param place for messages: the directory or the bucket. Throws ObjectDamaged, or NotBuiltYet for a newer format */
export function parseMarker(text: string, place: string): Marker {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = undefined;
  }
  const format = anyFormat.safeParse(value);
  if (format.success && format.data.format > 1) {
    throw new HoldfastError(
      'NotBuiltYet',
      `the repository in ${place} has format ${String(format.data.format)}; this version of Holdfast knows format 1`,
      'use the version of Holdfast that wrote it, or a newer one',
    );
  }
  const parsed = markerSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new HoldfastError(
    'ObjectDamaged',
    `the marker ${markerKey} in ${place} is damaged`,
    'it should read {"format":1,"id":"…","createdAt":"…"}: see README.holdfast.txt beside it',
  );
}

function notMounted(directory: string): HoldfastError {
  return new HoldfastError(
    'StoreNotMounted',
    `${directory} has no ${markerKey}, the marker of a repository`,
    "a missing marker usually means that the disk or share isn't mounted: mount it. A directory that is to become a repository is marked by 'holdfast repositories init'",
  );
}

/** @param place for messages: the directory or the bucket */
export function otherRepository(place: string, expected: string, found: string): HoldfastError {
  return new HoldfastError(
    'StoreNotMounted',
    `${place} holds repository ${found} where repository ${expected} was before`,
    'see what lies there, or is mounted; if the change is meant, restart the worker',
  );
}
