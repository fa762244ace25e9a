import { HoldfastError } from '../domain/errors.ts';
import type { Kubernetes } from './connection.ts';
import { found } from './failures.ts';
import { serviceHost, type Located } from './located.ts';
import { loginOf, type Login, type LoginKeys } from './login.ts';
import { readSecret } from './secrets.ts';

export interface StatefulSetPlace {
  readonly namespace: string;
  readonly name: string;
  /** Holds user and password. */
  readonly secret: string;
  /** Default: as the Secret says. */
  readonly user?: string | undefined;
  readonly keys?: LoginKeys | undefined;
  /** The Service that leads to it; default: the address in the Secret, else its first pod by the Service that governs it. */
  readonly service?: string | undefined;
}

/**
 * Where the PostgreSQL of a StatefulSet answers, and as whom. ConfigurationInvalid where it or its Secret isn't there;
 * PostgresUnavailable where it is scaled to nothing or its first pod isn't ready.
 */
export async function locateStatefulSet(
  kubernetes: Pick<Kubernetes, 'apps' | 'core'>,
  place: StatefulSetPlace,
): Promise<Located> {
  const { namespace, name } = place;
  const what = `StatefulSet ${namespace}/${name}`;
  const set = await found(`read ${what}`, kubernetes.apps.readNamespacedStatefulSet({ name, namespace }));
  if (set === undefined)
    throw new HoldfastError(
      'ConfigurationInvalid',
      `there is no StatefulSet '${name}' in namespace ${namespace}`,
      'correct the name in the configuration',
    );
  if (set.spec?.replicas === 0)
    throw new HoldfastError(
      'PostgresUnavailable',
      `${what} is scaled to 0`,
      `kubectl -n ${namespace} scale statefulset ${name} --replicas 1`,
    );
  if ((set.status?.readyReplicas ?? 0) === 0)
    throw new HoldfastError(
      'PostgresUnavailable',
      `no pod of ${what} is ready`,
      `look at it: kubectl -n ${namespace} describe pod ${name}-0`,
    );
  const login = await loginOfStatefulSet(kubernetes, place);
  return {
    host: hostOf(place, login.host, set.spec?.serviceName),
    port: place.service === undefined ? (login.port ?? 5432) : 5432,
    user: login.user,
    password: login.password,
    passwordFrom: { secret: place.secret, key: login.passwordKey },
  };
}

/** Its superuser, as its Secret says; the StatefulSet itself may be gone. */
export const loginOfStatefulSet = async (
  kubernetes: Pick<Kubernetes, 'core'>,
  { namespace, secret, user, keys }: Pick<StatefulSetPlace, 'namespace' | 'secret' | 'user' | 'keys'>,
): Promise<Login> =>
  loginOf(await readSecret(kubernetes, { namespace, name: secret }), `${namespace}/${secret}`, { user, keys });

/** A name without dots in a Secret is a Service of the same namespace, for the pods that it was written for. */
function hostOf(
  { service, namespace, name }: StatefulSetPlace,
  written: string | undefined,
  governing: string | undefined,
) {
  if (service !== undefined) return serviceHost(service, namespace);
  if (written !== undefined)
    return written.includes('.') || written.includes(':') ? written : serviceHost(written, namespace);
  if (governing !== undefined && governing !== '') return `${name}-0.${serviceHost(governing, namespace)}`;
  throw new HoldfastError(
    'ConfigurationInvalid',
    `StatefulSet ${namespace}/${name} names no Service that leads to it`,
    'name one in the configuration: service: …',
  );
}
