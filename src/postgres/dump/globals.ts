import { HoldfastError } from '../../domain/errors.ts';
import { captureBytes } from '../../process/chain.ts';
import type { Server } from '../connection.ts';
import { conninfoOf } from '../quote.ts';
import type { Tools } from '../tools.ts';

/** What closes a cluster dump: the footer member. */
export const clusterFooter = '--\n-- PostgreSQL database cluster dump complete\n--\n\n';

/** Roles and tablespaces as text: far below this, even with ten thousand roles. */
const maxGlobalsBytes = 256 * 1024 * 1024;

/**
 * Roles with their passwords and settings, memberships and tablespaces, as pg_dumpall prints them, without its
 * footer. Fails with ToolFailed also where the footer is missing: the exit code alone doesn't prove the end.
 */
export async function dumpGlobals(
  server: Server,
  tools: Tools,
  env: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { stdout } = await captureBytes(
    {
      file: tools.pgDumpall,
      // pg_dumpall reads connection parameters out of the name that it is given.
      args: ['--globals-only', '--encoding=UTF8', '--no-password', `--database=${conninfoOf(server.database)}`],
      env,
      ...(server.password === undefined ? {} : { secrets: [server.password] }),
    },
    { signal, maxBytes: maxGlobalsBytes },
  );
  return withoutFooter(stdout);
}

/** Cuts the footer off; what else stands after the last role or tablespace (the end of a `\restrict` fence) stays. */
export function withoutFooter(globals: Uint8Array): Uint8Array {
  const text = Buffer.from(globals.buffer, globals.byteOffset, globals.length);
  const at = text.lastIndexOf(clusterFooter.trimEnd());
  const rest = at === -1 ? '' : text.subarray(at + clusterFooter.trimEnd().length).toString('latin1');
  if (at === -1 || !/^\n*(\\unrestrict [A-Za-z0-9]+\n+)?$/.test(rest)) {
    throw new HoldfastError(
      'ToolFailed',
      'pg_dumpall ended well, but the end of its output is missing',
      'run pg_dumpall --globals-only by hand and look at its last lines',
    );
  }
  return Buffer.concat([text.subarray(0, at), Buffer.from(rest.trimStart(), 'latin1')]);
}
