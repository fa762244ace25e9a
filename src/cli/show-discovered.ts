import { HoldfastError } from '../domain/errors.ts';
import { configure, type Configured } from '../kubernetes/discovery/configuration.ts';
import { discover } from '../kubernetes/discovery/discover.ts';
import type { Unread } from '../kubernetes/discovery/found.ts';
import { listEverything } from '../kubernetes/discovery/list.ts';
import { yamlOf } from '../kubernetes/discovery/yaml.ts';
import { connectKubernetes, findKubernetes } from '../kubernetes/connection.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import type { Output } from './output.ts';

/** What `holdfast discover` found, and where it looked. */
export interface LookedAround extends Configured {
  readonly namespaces: readonly string[];
  readonly unread: readonly Unread[];
}

/** KubernetesRefused where nothing at all may be looked at: then there is no telling what is there. */
export async function lookAround(
  { environment }: Pick<Context, 'environment'>,
  namespaces: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<LookedAround> {
  const config = findKubernetes(environment);
  const home = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  const listing = await listEverything(connectKubernetes(config, signal), { namespaces, home }).catch(
    (error: unknown) => {
      if (signal.aborted) throw new CommandError('Interrupted', 'looking around was ended', 'nothing was changed');
      throw error;
    },
  );
  if (!listing.looked)
    throw new HoldfastError(
      'KubernetesRefused',
      ['the credentials may look at nothing that runs PostgreSQL:', ...listing.unread.map(inWords)].join('\n'),
      'grant the verb list on them in a Role of each namespace, or in a ClusterRole',
    );
  const discovered = discover(listing.listed);
  return {
    ...configure(discovered),
    namespaces: listing.namespaces,
    unread: [...listing.unread, ...discovered.unread],
  };
}

/** The configuration alone goes to stdout, so that it can be redirected into a file. */
export function showDiscovered({ stdout }: Pick<Context, 'stdout'>, output: Output, around: LookedAround): void {
  const { configuration, proposed, proxies, namespaces, unread } = around;
  if (output.json) {
    output.document({
      namespaces,
      found: [
        ...proposed.map(({ name, found, proposal }) => ({ ...found, proposed: { name, ...proposal } })),
        ...proxies,
      ],
      configuration,
      unread,
    });
    return;
  }
  for (const one of unread) {
    output.warn(inWords(one));
    output.warn(`  ${one.hint}`);
  }
  stdout.write(yamlOf(around, namespaces));
}

const inWords = ({ what, why }: Unread): string => `${what}: not looked at, ${why}`;
