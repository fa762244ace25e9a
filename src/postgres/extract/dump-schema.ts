import { startChain, type Chain } from '../../process/chain.ts';
import type { Server } from '../connection.ts';
import type { Tools } from '../tools.ts';

/** Nobody else works in the copy: a lock that doesn't come in this time is somebody's who shouldn't be there. */
const lockTimeoutMs = 60_000;

export interface SchemaDump {
  readonly server: Server;
  readonly tools: Tools;
  /** From withToolEnvironment: leads into the copy. */
  readonly env: Readonly<Record<string, string>>;
  readonly schema: string;
  /** Exported in the copy: PostgreSQL refuses it in any other database that may bear the name by now. */
  readonly snapshot: string;
  readonly signal: AbortSignal;
}

/**
 * Starts pg_dump for one schema of the copy, as SQL. Publications and subscriptions are the live database's own affair.
 */
export function startSchemaDump({ server, tools, env, schema, snapshot, signal }: SchemaDump): Chain {
  const args = [
    `--snapshot=${snapshot}`,
    `--schema=${namePattern(schema)}`,
    '--strict-names',
    '--encoding=UTF8',
    `--lock-wait-timeout=${String(lockTimeoutMs)}`,
    ...['--no-publications', '--no-subscriptions', '--no-password'],
  ];
  const secrets = server.password === undefined ? {} : { secrets: [server.password] };
  return startChain([{ file: tools.pgDump, args, env, ...secrets }], { stdin: 'ignore', stdout: 'pipe', signal });
}

/** In pg_dump's patterns what stands in double quotes is meant literally. */
const namePattern = (name: string) => `"${name.replaceAll('"', '""')}"`;
