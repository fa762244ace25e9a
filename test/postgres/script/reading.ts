/** What tests of the reader share: real dumps, and what passes through. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import type { PostgresServer } from '../../../parts/postgres-server.ts';
import { loadable, type LoadableOptions } from '../../../src/postgres/script/loadable.ts';
import { surveyDump, type SurveyOptions } from '../../../src/postgres/script/survey.ts';
import { stored } from '../restore/contents.ts';

/** What a tool of the server's version prints. */
export function dumpBytes(
  server: PostgresServer,
  tool: 'pg_dump' | 'pg_dumpall',
  database: string,
  ...args: readonly string[]
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const env = {
      ...{ LC_ALL: 'C.UTF-8', PATH: process.env['PATH'] },
      ...{ PGHOST: server.socketDir, PGPORT: String(server.port), PGUSER: 'postgres', PGDATABASE: database },
    };
    const options = { env, encoding: 'buffer', maxBuffer: 256 * 1024 ** 2 } as const;
    execFile(join(server.binDir, tool), args, options, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(new Error(`${tool} failed: ${stderr.toString()}`, { cause: error }));
    });
  });
}

export const survey = (bytes: Uint8Array, options: Partial<SurveyOptions> = {}, chunk?: number) =>
  surveyDump(stored(bytes, undefined, chunk), { signal: new AbortController().signal, countRows: true, ...options });

/** What comes out of `loadable`, as a whole. */
export async function passed(
  bytes: Uint8Array,
  options: Partial<LoadableOptions> = {},
  chunk?: number,
): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  const wishes = { database: 'app', allow: [], ...options };
  for await (const piece of loadable(stored(bytes, undefined, chunk), wishes)) chunks.push(Buffer.from(piece));
  return Buffer.concat(chunks);
}

/** Why it is refused; undefined: it passes. */
export async function refused(
  script: string | Buffer,
  options: Partial<LoadableOptions> = {},
): Promise<string | undefined> {
  return passed(Buffer.from(script), options).then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof Error && error.name === 'DumpRefused') return error.message;
      throw error;
    },
  );
}
