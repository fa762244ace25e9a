import { serviceHost } from '../located.ts';
import { describeCluster, describeWorkload, kindInWords } from './describe.ts';
import type { ClusterFound, WorkloadFound } from './found.ts';
import { wayToPrimary } from './services.ts';
import { isSuperuser, type SuperuserReference } from './superuser.ts';

/** A member of `clusters:`. */
export type Section =
  | { readonly cnpg: { readonly namespace: string; readonly name: string } }
  | {
      readonly statefulset: {
        readonly namespace: string;
        readonly name: string;
        readonly secret: string;
        readonly user?: string;
        readonly keys?: { readonly user?: string; readonly password: string };
        readonly service?: string;
      };
    }
  | {
      readonly server: {
        readonly host: string;
        readonly port?: number;
        readonly user: string;
        readonly password: { readonly secret: string; readonly key: string };
      };
    };

/** What a configuration says of one PostgreSQL. */
export interface Proposal {
  /** What was seen of it, one sentence each, for people. */
  readonly lines: readonly string[];
  /** undefined: it can't be used as it is; the last line says why. */
  readonly section: Section | undefined;
  /** `offered`: somebody has to do something first, so it is no part of the configuration yet. */
  readonly use: 'ready' | 'offered' | 'none';
  /** What a logical backup of all of it takes beside the usual; undefined: there can't be one yet. */
  readonly backup: { readonly exclude: readonly string[] } | undefined;
}

export const propose = (found: ClusterFound | WorkloadFound): Proposal =>
  found.kind === 'cnpg' ? proposeCluster(found) : proposeWorkload(found);

function proposeCluster(found: ClusterFound): Proposal {
  const { namespace, name, superuserSecret } = found;
  return {
    lines: describeCluster(found),
    section: { cnpg: { namespace, name } },
    use: 'ready',
    backup: superuserSecret === undefined ? undefined : { exclude: [] },
  };
}

function proposeWorkload(found: WorkloadFound): Proposal {
  const { kind, superuser, role } = found;
  const lines = describeWorkload(found);
  const useless = (why: string): Proposal => ({
    lines: [...lines.slice(0, 1), why],
    section: undefined,
    use: 'none',
    backup: undefined,
  });
  if (role === 'replica') return useless('Not a source: it follows a primary, which is backed up instead.');
  if ('missing' in superuser) return useless(`Not usable as it is: ${superuser.missing}.`);
  const address = addressOf(found);
  if (address === undefined) return useless('Not usable as it is: no Service leads to it.');
  const backup = isSuperuser(superuser) ? { exclude: found.electedBy === 'repmgr' ? ['repmgr'] : [] } : undefined;
  const { secret, keys, user, userKey } = superuser;
  if (kind === 'statefulset' && address.port === 5432) {
    const { namespace, name } = found;
    const service = wayToPrimary(found.services)?.name;
    return {
      lines,
      section: {
        statefulset: {
          namespace,
          name,
          secret,
          ...(user === undefined ? {} : { user }),
          ...(keys === undefined
            ? {}
            : { keys: { ...(keys.user === undefined ? {} : { user: keys.user }), password: keys.password } }),
          ...(service === undefined ? {} : { service }),
        },
      },
      use: 'ready',
      backup,
    };
  }
  const whySo = whyAsServer(found, superuser, address.port);
  return {
    lines: [...lines, `${whySo}, with Secret ${secret} mounted into the worker below HOLDFAST_SECRETS.`],
    section: serverAt(address, superuser),
    use: kind === 'statefulset' && userKey === undefined ? 'ready' : 'offered',
    backup,
  };
}

interface Address {
  readonly host: string;
  readonly port: number;
}

function addressOf(found: WorkloadFound): Address | undefined {
  const { namespace, name, services, governingService, port } = found;
  const service = wayToPrimary(services);
  if (service !== undefined) return { host: serviceHost(service.name, namespace), port: service.port };
  return governingService === undefined
    ? undefined
    : { host: `${name}-0.${serviceHost(governingService.name, namespace)}`, port };
}

const serverAt = (
  { host, port }: Address,
  { secret, passwordKey, user = 'postgres' }: SuperuserReference,
): Section => ({
  server: {
    host,
    ...(port === 5432 ? {} : { port }),
    user,
    password: { secret, key: passwordKey },
  },
});

function whyAsServer({ kind }: WorkloadFound, { userKey }: SuperuserReference, port: number): string {
  const ask = userKey === undefined ? '' : ` (its user's name is in the Secret, key ${userKey}: write it here)`;
  if (kind !== 'statefulset') return `A ${kindInWords[kind]} is used as a server${ask}`;
  return `As a server, since it answers at port ${String(port)}${ask}`;
}
