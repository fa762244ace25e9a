/** An application that goes on writing, whatever the archive does meanwhile. */
import { join } from 'node:path';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import { end, hasEnded, raise } from '../../parts/offspring.ts';
import type { World } from '../../parts/world.ts';
import { until } from './recovering.ts';

export interface Traffic {
  /** Ends it, and waits until the server has nothing of it to do any more. */
  stop(): Promise<void>;
}

/** Runs pgbench's own transactions against database postgres, with two clients, until it is stopped. */
export async function startTraffic(world: World, server: PostgresServer): Promise<Traffic> {
  if ((await server.psql('postgres', "SELECT to_regclass('pgbench_history')")) === '') await prepare(world, server);
  const child = pgbench(world, server, ['--client=2', '--time=86400']);
  return {
    async stop() {
      if (hasEnded(child)) throw new Error(`pgbench ended by itself: see ${logOf(world)}`);
      await end(child, 'SIGTERM');
      await until(async () => (await server.psql('postgres', sessions)) === '0');
    },
  };
}

const sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pgbench'";
const logOf = (world: World) => join(world.directory, 'pgbench.log');

function pgbench(world: World, server: PostgresServer, args: readonly string[]) {
  const address = ['--host', server.socketDir, '--port', String(server.port), '--username', 'postgres'];
  return raise({
    command: join(server.binDir, 'pgbench'),
    args: [...address, ...args, 'postgres'],
    logFile: logOf(world),
    atOurDeath: 'KILL',
  });
}

async function prepare(world: World, server: PostgresServer): Promise<void> {
  const child = pgbench(world, server, ['--initialize', '--quiet', '--scale=1']);
  await until(() => hasEnded(child));
  if (child.exitCode !== 0) throw new Error(`pgbench could not be prepared: see ${logOf(world)}`);
}

/** What has been committed: how many transactions, and a number that every one of them changes. */
export const committed =
  'SELECT count(*), sum(hashtext(h::text)), (SELECT sum(abalance) FROM pgbench_accounts), sum(delta) FROM pgbench_history h';
