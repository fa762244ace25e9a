import type { Client } from '@temporalio/client';
import { isPolled } from '../client/pollers.ts';
import type { Config } from '../domain/config.ts';
import { bytesQueue, controlQueue, siteQueue, walQueue } from '../domain/ids.ts';

export interface Polling {
  readonly queue: string;
  readonly polled: boolean;
  /** What would serve it. */
  readonly command: string;
}

/** Whether somebody works on every queue that the policies and the WAL archives need. */
export async function pollingOf(client: Client, namespace: string, config: Config): Promise<Polling[]> {
  const siteOf = (cluster: string) => config.clusters[cluster]?.site ?? 'main';
  const archived = Object.keys(config.clusters).filter((cluster) => config.clusters[cluster]?.wal !== undefined);
  const archiving = new Set(archived.map(siteOf));
  const sites = new Set([...Object.values(config.policies).map(({ cluster }) => siteOf(cluster)), ...archiving]);
  const [anySite = 'main'] = sites;
  const wanted = [
    // Every worker serves it, whatever its site.
    { queue: controlQueue, command: `holdfast worker --site ${anySite}` },
    ...[...sites].flatMap((site) =>
      [siteQueue(site), bytesQueue(site), ...(archiving.has(site) ? [walQueue(site)] : [])].map((queue) => ({
        queue,
        command: `holdfast worker --site ${site}`,
      })),
    ),
  ];
  return Promise.all(wanted.map(async (one) => ({ ...one, polled: await isPolled(client, namespace, one.queue) })));
}
