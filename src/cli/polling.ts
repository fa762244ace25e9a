import type { Client } from '@temporalio/client';
import { isPolled } from '../client/pollers.ts';
import type { Config } from '../domain/config.ts';
import { bytesQueue, controlQueue, siteQueue } from '../domain/ids.ts';

export interface Polling {
  readonly queue: string;
  readonly polled: boolean;
  /** What would serve it. */
  readonly command: string;
}

/** Whether somebody works on every queue that the policies need. */
export async function pollingOf(client: Client, namespace: string, config: Config): Promise<Polling[]> {
  const sites = new Set(
    Object.values(config.policies).map((policy) => config.clusters[policy.cluster]?.site ?? 'main'),
  );
  const [anySite = 'main'] = sites;
  const wanted = [
    // Every worker serves it, whatever its site.
    { queue: controlQueue, command: `holdfast worker --site ${anySite}` },
    ...[...sites].flatMap((site) =>
      [siteQueue(site), bytesQueue(site)].map((queue) => ({ queue, command: `holdfast worker --site ${site}` })),
    ),
  ];
  return Promise.all(wanted.map(async (one) => ({ ...one, polled: await isPolled(client, namespace, one.queue) })));
}
