import { HoldfastError } from '../../domain/errors.ts';
import type { Kubernetes } from '../connection.ts';
import { serviceHost, type Located } from '../located.ts';
import { loginOf } from '../login.ts';
import { readSecret } from '../secrets.ts';
import { assertHasPrimary, readCluster, type Cluster, type ClusterName } from './cluster.ts';

/**
 * Where the primary of a CloudNativePG cluster answers, by its own Service and never a pooler's, and its superuser. As assertHasPrimary says where it can't be used now;
 * ConfigurationInvalid where nothing gives the superuser's password.
 */
export async function locateCluster(
  kubernetes: Pick<Kubernetes, 'core' | 'custom'>,
  place: ClusterName & { readonly superuserSecret?: string | undefined },
): Promise<Located> {
  const cluster = await readCluster(kubernetes, place);
  assertHasPrimary(cluster);
  const secret = place.superuserSecret ?? superuserSecretOf(cluster);
  const { namespace } = place;
  const login = loginOf(await readSecret(kubernetes, { namespace, name: secret }), `${namespace}/${secret}`);
  return {
    host: serviceHost(cluster.status.writeService ?? `${place.name}-rw`, namespace),
    port: 5432,
    user: login.user,
    password: login.password,
    passwordFrom: { secret, key: login.passwordKey },
  };
}

/** The Secret that the operator keeps the superuser's password in. */
export function superuserSecretOf({ metadata: { namespace, name }, spec }: Cluster): string {
  if (spec.enableSuperuserAccess === true) return spec.superuserSecret?.name ?? `${name}-superuser`;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `CloudNativePG cluster ${namespace}/${name} lets no superuser in, whom a backup with roles and their passwords needs`,
    "set spec.enableSuperuserAccess: true in the Cluster, or name a Secret with a superuser's username and password in superuserSecret",
  );
}
