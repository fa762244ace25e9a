import { findClusters } from './clusters.ts';
import type { Discovered, Found, Listed } from './found.ts';
import { findWorkloads } from './workloads.ts';

/** Every PostgreSQL in what was listed, and what stands before one. Decides from the objects alone: no I/O. */
export function discover(listed: Listed): Discovered {
  const clusters = findClusters(listed);
  return {
    found: [...clusters.found, ...findWorkloads(listed)].sort((one, other) => compare(keyOf(one), keyOf(other))),
    unread: clusters.unread,
  };
}

// A space sorts before every character of a name.
const keyOf = ({ namespace, name, kind }: Found) => `${namespace} ${name} ${kind}`;
const compare = (one: string, other: string) => (one < other ? -1 : one > other ? 1 : 0);
