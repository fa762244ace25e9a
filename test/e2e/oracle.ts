/** What must hold after every run, whatever it was and however it ended. */
import { expect } from '@jest/globals';
import { readFile, readdir } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PostgresServer } from '../../parts/postgres-server.ts';
import type { World } from '../../parts/world.ts';

export interface Remains {
  /** Temporary files in the repository. */
  readonly files: readonly string[];
  /** Sessions of Holdfast and of the tools that it starts. */
  readonly sessions: readonly string[];
  /** Databases that a restore made or a swap put aside. */
  readonly databases: readonly string[];
  /** Databases that take no connections, though they should. */
  readonly closed: readonly string[];
  /** Tools that still run. */
  readonly processes: readonly string[];
  /** Leases that a run of this world still holds on any cluster. */
  readonly leases: readonly string[];
}

const patienceMs = 120_000;
const nothing: Remains = { files: [], sessions: [], databases: [], closed: [], processes: [], leases: [] };

/**
 * Nothing is left over: looks until that is so, and says what is left if it stays.
 * @param kept databases beside the live one that are there on purpose: a run waits for `undo` or `release`
 * @param leased clusters on which a lease is held on purpose
 */
export async function expectClean(
  world: World,
  server: PostgresServer,
  kept: readonly string[] = [],
  leased: readonly string[] = [],
): Promise<void> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const found = await remains(world, server, kept, leased);
    const clean = Object.values(found).every((list: readonly string[]) => list.length === 0);
    if (clean || Date.now() > deadline) {
      expect(found).toEqual(nothing);
      return;
    }
    await sleep(100);
  }
}

async function remains(
  world: World,
  server: PostgresServer,
  kept: readonly string[],
  leased: readonly string[],
): Promise<Remains> {
  const list = async (sql: string) => (await server.psql('postgres', sql)).split('\n').filter((line) => line !== '');
  const beside = "datname ~ '_(new|old)_[0-9a-f]{8}$'";
  const databases = await list(`SELECT datname FROM pg_database WHERE ${beside} ORDER BY 1`);
  return {
    files: (await readdir(world.repository, { recursive: true })).filter((path) => /(^|\/)\./.test(path)),
    sessions: await list(
      `SELECT application_name || ' in ' || coalesce(datname, '') FROM pg_stat_activity WHERE application_name LIKE 'holdfast%'`,
    ),
    databases: databases.filter((name) => !kept.includes(name)),
    closed: await list(
      `SELECT datname FROM pg_database WHERE NOT datallowconn AND datname <> 'template0' AND NOT ${beside}`,
    ),
    processes: await toolsOf(server),
    leases: (await leasesOf(world)).filter((lease) => !leased.some((name) => lease.startsWith(`cluster/${name}:`))),
  };
}

/** Every tool is told its server by its environment, and by nobody else's. */
async function toolsOf(server: PostgresServer): Promise<string[]> {
  const found: string[] = [];
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    try {
      const environment = await readFile(`/proc/${pid}/environ`, 'latin1');
      if (!environment.split('\0').includes(`PGPORT=${String(server.port)}`)) continue;
      found.push((await readFile(`/proc/${pid}/cmdline`, 'latin1')).replaceAll('\0', ' '));
    } catch {
      // it ended while we looked
    }
  }
  return found.filter((command) => command !== '');
}

async function leasesOf(world: World): Promise<string[]> {
  const held: string[] = [];
  for await (const { workflowId } of world.client.workflow.list({
    query: "WorkflowType = 'cluster' AND ExecutionStatus = 'Running'",
  })) {
    const holders = await world.client.workflow
      .getHandle(workflowId)
      .query<readonly { mode: string; workflowId: string }[]>('holders')
      .catch(() => []);
    held.push(...holders.map((holder) => `${workflowId}: ${holder.mode} of ${holder.workflowId}`));
  }
  return held;
}
