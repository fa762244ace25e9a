import { allHandlersFinished, condition, continueAsNew, setHandler, workflowInfo } from '@temporalio/workflow';
import { decideLease, leaseRequestSchema, withHolder, withoutHolder, type Holder } from '../domain/lease.ts';
import { failure } from './failures.ts';
import { acquireUpdate, giveBackUpdate, holdersQuery } from './messages.ts';

const idleMs = 60_000;

/**
 * Keeps the leases of one cluster, under the id `cluster/<name>`. It is started by the first activity that asks for a
 * lease, and ends when nobody has held one for a minute; the next to ask starts it again.
 */
export async function cluster(held: readonly Holder[] = []): Promise<void> {
  let holders = [...held];
  let asked = 0;
  const read = (payload: unknown) => {
    const parsed = leaseRequestSchema.safeParse(payload);
    if (!parsed.success)
      throw failure(
        'InvalidArgument',
        `not a lease request: ${parsed.error.message}`,
        'leases are asked for by Holdfast’s own activities',
      );
    return parsed.data;
  };
  setHandler(holdersQuery, () => holders, { description: 'who holds which lease on this cluster' });
  setHandler(
    acquireUpdate,
    (payload) => {
      asked += 1;
      const request = read(payload);
      const grant = decideLease(holders, request);
      if (grant.granted) holders = withHolder(holders, request);
      return grant;
    },
    { validator: (payload) => void read(payload), description: 'asks for a lease' },
  );
  setHandler(
    giveBackUpdate,
    (payload) => {
      asked += 1;
      holders = withoutHolder(holders, read(payload));
      return { holders: holders.length };
    },
    { validator: (payload) => void read(payload), description: 'gives a lease back' },
  );
  const mustMoveOn = () => workflowInfo().continueAsNewSuggested;
  while (!mustMoveOn()) {
    const seen = asked;
    if (holders.length > 0) await condition(() => asked !== seen || mustMoveOn());
    else if (!(await condition(() => asked !== seen || mustMoveOn(), idleMs)) && allHandlersFinished()) return;
  }
  await condition(allHandlersFinished);
  await continueAsNew<typeof cluster>(holders);
}
