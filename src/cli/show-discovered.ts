import { configure, type Configured } from '../kubernetes/discovery/configuration.ts';
import { discover } from '../kubernetes/discovery/discover.ts';
import type { Unread } from '../kubernetes/discovery/found.ts';
import { listEverything } from '../kubernetes/discovery/list.ts';
import { yamlOf } from '../kubernetes/discovery/yaml.ts';
import type { Context } from './context.ts';
import { lookThrough, warnOfUnread } from './look-through.ts';
import type { Output } from './output.ts';

/** What `holdfast discover` found, and where it looked. */
export interface LookedAround extends Configured {
  readonly namespaces: readonly string[];
  readonly unread: readonly Unread[];
}

/** As lookThrough says. */
export async function lookAround(
  context: Pick<Context, 'environment'>,
  namespaces: readonly string[] | undefined,
  signal: AbortSignal,
): Promise<LookedAround> {
  const listing = await lookThrough(context, namespaces, signal, listEverything, 'nothing that runs PostgreSQL');
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
  warnOfUnread(output, unread);
  stdout.write(yamlOf(around, namespaces));
}
