import type { SwapDatabaseFacts, SwapFacts } from '../../../src/domain/swap-report.ts';

const database = (oid: number, name: string): SwapDatabaseFacts => ({
  ...{ oid, name, owner: 'app', allowsConnections: true, isTemplate: false, invalid: false, isOurs: true },
});

/** Nothing done, nothing in the way. */
export const calm: SwapFacts = {
  asked: { liveName: 'gatus', liveOid: 1001, copyName: 'gatus_new', copyOid: 2002, oldName: 'gatus_old' },
  systemIdentifier: '7',
  maintenance: 'postgres',
  inRecovery: false,
  user: { name: 'postgres', superuser: true, createDatabase: true },
  live: database(1001, 'gatus'),
  copy: database(2002, 'gatus_new'),
  oldNameOwner: null,
  mark: null,
  preparedTransactions: [],
  preparedTransactionCount: 0,
  slots: [],
  slotCount: 0,
  subscriptions: [],
  subscriptionCount: 0,
  sessions: 0,
  workers: [],
  standbys: 0,
};

export const named = (live: string, copy: string): Pick<SwapFacts, 'live' | 'copy'> => ({
  live: database(1001, live),
  copy: database(2002, copy),
});

export const closed = (facts: SwapDatabaseFacts | null) =>
  facts === null ? null : { ...facts, allowsConnections: false };
