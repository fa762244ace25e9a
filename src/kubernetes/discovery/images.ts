/** What the name of a container's image tells. */

export interface Image {
  /** Last part of its path: "postgresql". */
  readonly name: string;
  readonly tag: string | undefined;
}

export function splitImage(reference: string): Image {
  const [path = ''] = reference.split('@');
  const last = path.slice(path.lastIndexOf('/') + 1);
  const colon = last.indexOf(':');
  return colon === -1 ? { name: last, tag: undefined } : { name: last.slice(0, colon), tag: last.slice(colon + 1) };
}

const servers = /postgres|postgis|pgvect|timescaledb|spilo|paradedb|citus|stolon/;
/** Their names say PostgreSQL too, and none of them is one. */
const companions =
  /exporter|bouncer|pgpool|pgadmin|operator|backup|client|postgrest|proxy|barman|wal-?g|migrat|init|adapter|metrics|meta$|upgrade|dump|restore|-ui/;
const proxies = /pgpool|pgbouncer|pgcat|odyssey|supavisor/;
const forwarders = /proxy|envoy|socat|tunnel/;

export const isServerImage = (reference: string): boolean => {
  const { name } = splitImage(reference);
  return servers.test(name) && !companions.test(name);
};

/** What stands between clients and servers and is none itself: "pgpool"; undefined for anything else. */
export const proxyOf = (reference: string): string | undefined => proxies.exec(splitImage(reference).name)?.[0];

/** Whether it may be a server, going by its port alone. */
export const mayServe = (reference: string): boolean => {
  const { name } = splitImage(reference);
  return !companions.test(name) && !proxies.test(name) && !forwarders.test(name);
};

/** "17.5", or "17" where the image says no more; undefined where it says nothing ("latest", a digest). */
export function versionOfImage(reference: string): string | undefined {
  const { name, tag = '' } = splitImage(reference);
  const [, named] = /(?:postgres|postgresql|spilo|timescaledb|postgis)-([1-9][0-9])(?:-|$)/.exec(name) ?? [];
  const [, behind] = /(?:^|[^a-z])pg([1-9][0-9])(?![0-9])/.exec(tag) ?? [];
  const [, ahead] = /^v?([1-9][0-9](?:\.[0-9]{1,2})?)(?![0-9])/.exec(tag) ?? [];
  const [, within] = /-([1-9][0-9]\.[0-9]{1,2})(?![0-9])/.exec(tag) ?? [];
  return named ?? behind ?? ahead ?? within;
}

export const majorOf = (version: string | undefined): number | undefined =>
  version === undefined ? undefined : Number.parseInt(version, 10);
