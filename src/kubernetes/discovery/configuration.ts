import type { ClusterFound, Discovered, ProxyFound, WorkloadFound } from './found.ts';
import { namesFor } from './names.ts';
import { propose, type Proposal, type Section } from './propose.ts';

/** A configuration made of what was found; `holdfast config check` takes it as it is. */
export interface ProposedConfiguration {
  readonly installation: string;
  readonly repositories: Readonly<Record<string, { readonly directory: string }>>;
  readonly clusters: Readonly<Record<string, Section>>;
  readonly policies: Readonly<Record<string, ProposedPolicy>>;
}

export interface ProposedPolicy {
  readonly cluster: string;
  readonly method: 'pg_dumpall';
  readonly repository: string;
  readonly schedule: string;
  readonly keep: { readonly last: number };
  readonly exclude?: readonly string[];
}

export interface Proposed {
  /** The name that it has, or would have. */
  readonly name: string;
  readonly found: ClusterFound | WorkloadFound;
  readonly proposal: Proposal;
}

export interface Configured {
  readonly configuration: ProposedConfiguration;
  /** All that runs PostgreSQL, whether or not it is in the configuration. */
  readonly proposed: readonly Proposed[];
  readonly proxies: readonly ProxyFound[];
}

const repository = 'backup';

export function configure({ found }: Discovered): Configured {
  const servers = found.filter((one) => one.kind !== 'proxy');
  const names = namesFor(servers);
  const proposed = servers.map((one): Proposed => ({ name: names.get(one) ?? '', found: one, proposal: propose(one) }));
  const ready = proposed.flatMap(({ name, proposal: { use, section, backup } }) =>
    use === 'ready' && section !== undefined ? [{ name, section, backup }] : [],
  );
  const backedUp = ready.flatMap(({ name, backup }) => (backup === undefined ? [] : [{ name, ...backup }]));
  return {
    configuration: {
      installation: 'holdfast',
      repositories: { [repository]: { directory: '/backup' } },
      clusters: Object.fromEntries(ready.map(({ name, section }) => [name, section])),
      policies: Object.fromEntries(
        backedUp.map(({ name, exclude }, index) => [
          `${name}-daily`,
          {
            cluster: name,
            method: 'pg_dumpall',
            repository,
            schedule: nightly(index),
            keep: { last: 7 },
            ...(exclude.length === 0 ? {} : { exclude }),
          },
        ]),
      ),
    },
    proposed,
    proxies: found.filter((one) => one.kind === 'proxy'),
  };
}

const everyMinutes = 10;

/** One after the other from two o'clock on, for four hours; then from the beginning. */
function nightly(index: number): string {
  const minutes = (index * everyMinutes) % (4 * 60);
  return `${String(minutes % 60)} ${String(2 + Math.floor(minutes / 60))} * * *`;
}
