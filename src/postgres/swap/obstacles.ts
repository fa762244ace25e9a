import { HoldfastError } from '../../domain/errors.ts';
import type { SwapFacts, SwapInput, SwapObstacle } from '../../domain/swap-report.ts';

type Wishes = Pick<SwapInput, 'systemIdentifier' | 'slots' | 'subscriptions' | 'workers'>;

/** The databases that PostgreSQL itself connects to by name, or makes others from. */
const systemDatabases: readonly string[] = ['template0', 'template1'];

/**
 * What stands in the way of a swap (weight `swap`) or should be known before it (`note`). All of it is checked again
 * while the databases are closed.
 */
export function swapObstacles(facts: SwapFacts, wishes: Wishes = {}): SwapObstacle[] {
  return [
    ...whereObstacles(facts, wishes),
    ...databaseObstacles(facts),
    ...preparedObstacles(facts),
    ...slotObstacles(facts, wishes),
    ...subscriptionObstacles(facts, wishes),
    ...workerObstacles(facts, wishes),
    ...standbyNotes(facts),
  ];
}

function whereObstacles(facts: SwapFacts, { systemIdentifier }: Wishes): SwapObstacle[] {
  const obstacles: SwapObstacle[] = [];
  if (systemIdentifier !== undefined && systemIdentifier !== facts.systemIdentifier) {
    obstacles.push({
      kind: 'another cluster',
      weight: 'swap',
      what: `this is the cluster with system identifier ${facts.systemIdentifier}, planned was ${systemIdentifier}`,
      cure: 'check where host and port lead now, and plan again',
    });
  }
  if (facts.inRecovery) {
    obstacles.push({
      kind: 'in recovery',
      weight: 'swap',
      what: 'the server is a standby, or in recovery: nothing can be renamed there',
      cure: "connect to the primary, for example by a service's name that follows it",
    });
  }
  const { user, live, copy } = facts;
  const foreign = [live, copy].flatMap((database) =>
    database === null || database.isOurs ? [] : [`'${database.name}'`],
  );
  if (!user.superuser && (!user.createDatabase || foreign.length > 0)) {
    obstacles.push({
      kind: 'not allowed',
      weight: 'swap',
      what: `user '${user.name}' may not rename databases: he ${user.createDatabase ? `is no member of the owner of ${foreign.join(' and ')}` : 'lacks CREATEDB'}`,
      cure: 'connect as a superuser, or as a member of the owner of both databases with CREATEDB and pg_signal_backend',
    });
  }
  return obstacles;
}

function databaseObstacles({ asked, live, copy, oldNameOwner }: SwapFacts): SwapObstacle[] {
  const obstacles: SwapObstacle[] = [];
  if (systemDatabases.includes(asked.liveName) || systemDatabases.includes(asked.copyName)) {
    obstacles.push({
      kind: 'system database',
      weight: 'swap',
      what: `PostgreSQL needs '${asked.liveName}' as it is`,
      cure: 'restore under another name (into), and copy what is needed by hand',
    });
  }
  for (const database of [live, copy]) {
    if (database?.invalid !== true) continue;
    obstacles.push({
      kind: 'invalid database',
      weight: 'swap',
      what: `a DROP DATABASE of '${database.name}' was cut short: it can't be used any more`,
      cure: 'drop it, and restore anew',
    });
  }
  if (oldNameOwner !== null) {
    obstacles.push({
      kind: 'name taken',
      weight: 'swap',
      what: `there is a database '${asked.oldName}' already (OID ${String(oldNameOwner)}), which is the name for the one put aside`,
      cure: 'rename or drop that one, or plan again',
    });
  }
  return obstacles;
}

function preparedObstacles({ asked, preparedTransactions, preparedTransactionCount }: SwapFacts): SwapObstacle[] {
  if (preparedTransactionCount === 0) return [];
  const listed = preparedTransactions.map(({ gid, owner }) => `'${gid}'${owner === null ? '' : ` of ${owner}`}`);
  return [
    {
      kind: 'prepared transactions',
      weight: 'swap',
      what: `${counted(preparedTransactionCount, 'prepared transaction')} in '${asked.liveName}' or its copy: ${enumerate(listed, preparedTransactionCount)}`,
      cure: 'COMMIT PREPARED or ROLLBACK PREPARED there first; no database can be renamed before',
    },
  ];
}

function slotObstacles({ asked, slots, slotCount }: SwapFacts, wishes: Wishes): SwapObstacle[] {
  if (slotCount === 0) return [];
  const listed = slots.map(
    ({ name, plugin, active }) => `'${name}'${plugin === null ? '' : ` (${plugin}${active ? ', in use' : ''})`}`,
  );
  return [
    {
      kind: 'slots',
      weight: wishes.slots === 'leave' ? 'note' : 'swap',
      what: `${counted(slotCount, 'logical replication slot')} of '${asked.liveName}': ${enumerate(listed, slotCount)}. A slot stays with the old database and keeps WAL there; its consumer is refused in the new one`,
      cure: 'stop the consumer and drop the slot, and make both anew after the swap; or tell the swap to leave slots behind',
    },
  ];
}

function subscriptionObstacles({ asked, subscriptions, subscriptionCount }: SwapFacts, wishes: Wishes): SwapObstacle[] {
  if (subscriptionCount === 0) return [];
  const listed = subscriptions.map(({ name, enabled }) => `'${name}'${enabled ? '' : ' (disabled)'}`);
  return [
    {
      kind: 'subscriptions',
      weight: wishes.subscriptions === 'leave' ? 'note' : 'swap',
      what: `${counted(subscriptionCount, 'subscription')} in '${asked.liveName}': ${enumerate(listed, subscriptionCount)}. It stays with the old database, can't connect there, and its publisher keeps WAL for it`,
      cure: 'ALTER SUBSCRIPTION … DISABLE and drop it, and subscribe anew after the swap; or tell the swap to leave subscriptions behind',
    },
  ];
}

function workerObstacles({ asked, workers }: SwapFacts, wishes: Wishes): SwapObstacle[] {
  if (workers.length === 0) return [];
  const listed = workers.map(({ kind, pid }) => `${kind} (pid ${String(pid)})`);
  return [
    {
      kind: 'workers',
      weight: wishes.workers === 'end' ? 'note' : 'swap',
      what: `background workers hold '${asked.liveName}': ${listed.join(', ')}. Some extensions' workers don't come back before the server restarts once they are ended (pg_cron before 1.6.1 is one)`,
      cure: "stop them by their extension's own means and start them after the swap; or tell the swap to end them, and look afterwards whether they are back",
    },
  ];
}

function standbyNotes({ standbys, asked }: SwapFacts): SwapObstacle[] {
  if (standbys === 0) return [];
  return [
    {
      kind: 'standbys',
      weight: 'note',
      what: `${counted(standbys, 'replica')} streaming from here: sessions there aren't ended, and go on reading the old '${asked.liveName}' until they connect anew`,
      cure: 'restart the readers on the replicas, or end their sessions there',
    },
  ];
}

const counted = (count: number, noun: string) => `${String(count)} ${noun}${count === 1 ? '' : 's'}`;

const enumerate = (listed: readonly string[], count: number) =>
  `${listed.join(', ')}${count > listed.length ? ` and ${String(count - listed.length)} more` : ''}`;

export const inTheWay = ({ weight }: SwapObstacle) => weight !== 'note';

/** SwapFailed with every obstacle in its text; Busy ones don't exist: each needs somebody to do something. */
export function refusal(asked: { readonly liveName: string }, obstacles: readonly SwapObstacle[]): HoldfastError {
  return new HoldfastError(
    'SwapFailed',
    `can't swap '${asked.liveName}': ${obstacles.map(({ what }) => what).join('; ')}`,
    obstacles.map(({ cure }) => cure).join('; '),
  );
}
