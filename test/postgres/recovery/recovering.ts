import { join } from 'node:path';
import { chown, mkdir } from 'node:fs/promises';
import { serverUser } from '../../../parts/server-user.ts';
import type { BaseManifest } from '../../../src/domain/base-manifest.ts';
import type { RecoveryTarget } from '../../../src/domain/recovery-target.ts';
import type { SegmentId } from '../../../src/domain/wal.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { fetchBase, type FetchInput } from '../../../src/postgres/recovery/fetch.ts';
import type { RecoveryInput } from '../../../src/postgres/recovery/recover.ts';
import { throwAway } from '../../../src/postgres/recovery/throw-away.ts';
import { segmentBytes, type Source } from './source.ts';

export const { signal } = new AbortController();
const who = { user: 'postgres', database: 'postgres' };

/** Distributes itself over the fields of a union. */
export type Place = RecoveryTarget extends infer T ? (T extends unknown ? Omit<T, 'timeline'> : never) : never;

export async function home(source: Source, name: string): Promise<string> {
  const directory = join(source.scratch, name);
  await mkdir(directory, { mode: 0o700 });
  const owner = serverUser();
  if (owner !== undefined) await chown(directory, owner.uid, owner.gid);
  return directory;
}

export function fetchInput(source: Source, directory: string, chain: readonly BaseManifest[]): FetchInput {
  return {
    source: source.repository,
    chain,
    dataDirectory: join(directory, 'data'),
    tablespaces: {},
    workDirectory: join(directory, 'work'),
    programs: source.lent.programs,
    runAs: serverUser(),
    compressors: source.compressors,
    signal,
  };
}

export function recoveryInput(
  source: Source,
  directory: string,
  base: BaseManifest,
  place: Place,
  last: SegmentId | undefined,
  timeline = 1,
): RecoveryInput {
  return {
    programs: source.lent.programs,
    dataDirectory: join(directory, 'data'),
    workDirectory: join(directory, 'work'),
    socketDirectory: join(directory, 'run'),
    port: 5432,
    runAs: serverUser(),
    sourceSettings: base.settings,
    systemIdentifier: base.server.systemIdentifier,
    segmentBytes,
    wal: source.wal,
    last,
    target: { ...place, timeline },
    who,
    signal,
  };
}

/** A fresh directory with the base in it. */
export async function fetched(source: Source, name: string, base: BaseManifest): Promise<string> {
  const directory = await home(source, name);
  await fetchBase(fetchInput(source, directory, [base]));
  return directory;
}

/** Rows of one column, as text, from the copy. */
export async function ask(
  copy: { readonly socketDirectory: string; readonly port: number },
  sql: string,
): Promise<string[]> {
  const server = { host: copy.socketDirectory, port: copy.port, ...who, sslmode: 'disable' as const };
  const rows = await withSession(server, {}, (session) => session.query<Record<string, unknown>>(sql));
  return rows.map((row) => String(Object.values(row)[0]));
}

export const away = (directory: string) => throwAway({ workDirectory: join(directory, 'work'), signal });
