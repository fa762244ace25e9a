import { HoldfastError } from '../domain/errors.ts';
import { connectKubernetes, findKubernetes, type Kubernetes } from '../kubernetes/connection.ts';
import type { Unread } from '../kubernetes/discovery/found.ts';
import type { Where } from '../kubernetes/discovery/list.ts';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import type { Output } from './output.ts';

/**
 * Lists objects in the Kubernetes of the environment: in these namespaces, or in all that may be listed.
 * KubernetesRefused where nothing at all may be looked at: then there is no telling what is there.
 * @param what may not be looked at then: "nothing that runs PostgreSQL"
 */
export async function lookThrough<Listing extends { readonly looked: boolean; readonly unread: readonly Unread[] }>(
  { environment }: Pick<Context, 'environment'>,
  namespaces: readonly string[] | undefined,
  signal: AbortSignal,
  list: (kubernetes: Kubernetes, where: Where) => Promise<Listing>,
  what: string,
): Promise<Listing> {
  const config = await findKubernetes(environment);
  const home = config.getContextObject(config.getCurrentContext())?.namespace ?? 'default';
  const listing = await list(await connectKubernetes(config, signal), { namespaces, home }).catch((error: unknown) => {
    if (signal.aborted) throw new CommandError('Interrupted', 'looking around was ended', 'nothing was changed');
    throw error;
  });
  if (listing.looked) return listing;
  throw new HoldfastError(
    'KubernetesRefused',
    [`the credentials may look at ${what}:`, ...listing.unread.map(inWords)].join('\n'),
    'grant the verb list on them in a Role of each namespace, or in a ClusterRole',
  );
}

export function warnOfUnread(output: Output, unread: readonly Unread[]): void {
  for (const one of unread) {
    output.warn(inWords(one));
    output.warn(`  ${one.hint}`);
  }
}

const inWords = ({ what, why }: Unread): string => `${what}: not looked at, ${why}`;
