import type { ApiException } from '@kubernetes/client-node';
import { HoldfastError, messageOf } from '../domain/errors.ts';

/**
 * What the Kubernetes API answered, with its failures named: KubernetesRefused where somebody must change something
 * (rights, an object that it doesn't take), KubernetesUnavailable where it may pass (too many requests, a server that
 * restarts, a time-out), Busy for a conflict.
 * @param what for messages: "read Secret infra/postgres-admin"
 */
export async function asked<T>(what: string, answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw kubernetesFailure(what, error);
  }
}

/** The same, and undefined where there is no such object. */
export async function found<T>(what: string, answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (statusCodeOf(error) === 404) return undefined;
    throw kubernetesFailure(what, error);
  }
}

function kubernetesFailure(what: string, error: unknown): unknown {
  if (error instanceof HoldfastError) return error;
  const named = (type: 'Busy' | 'KubernetesRefused' | 'KubernetesUnavailable', text: string, hint: string) =>
    new HoldfastError(type, `can't ${what}: ${text}`, hint, { cause: error });
  if (!isApiException(error))
    return named(
      'KubernetesUnavailable',
      messageOf(error),
      'check that the API server answers and that the worker may reach it; it is tried again',
    );
  const said = statusOf(error.body) ?? `HTTP status ${String(error.code)}`;
  switch (error.code) {
    case 401:
      return named(
        'KubernetesRefused',
        said,
        "the worker's credentials are not taken: look at its service account, or renew its kubeconfig",
      );
    case 403:
      return named(
        'KubernetesRefused',
        said,
        / cannot \w+ resource /.test(said)
          ? 'grant it in a Role, and bind that to the worker’s service account'
          : "a rule of the namespace (a quota, its pod security, a webhook) doesn't take this object; the text above says why",
      );
    case 404:
      return named(
        'KubernetesRefused',
        said,
        'check name and namespace, and that its CustomResourceDefinition is there',
      );
    case 409:
      return named('Busy', said, 'somebody else changed it at the same time; it is tried again');
    case 400:
    case 405:
    case 415:
    case 422:
      return named(
        'KubernetesRefused',
        said,
        'the API server, or a webhook of its, does not take this object; the text above says why',
      );
    default:
      return named(
        'KubernetesUnavailable',
        said,
        said.includes('failed calling webhook')
          ? 'the operator whose webhook has to agree does not answer: see whether it runs; it is tried again'
          : 'it is tried again; look at the API server and at webhooks if it stays so',
      );
  }
}

/** The HTTP status that the API server refused with; undefined for what isn't its answer. */
export const statusCodeOf = (error: unknown): number | undefined => (isApiException(error) ? error.code : undefined);

/** By its shape, since the library's class is loaded only with a connection. */
const isApiException = (error: unknown): error is ApiException<unknown> =>
  error instanceof Error && 'code' in error && typeof error.code === 'number' && 'body' in error && 'headers' in error;

/** The sentence in a Kubernetes Status, which the library leaves as text or has parsed. */
function statusOf(body: unknown): string | undefined {
  const status: unknown = typeof body === 'string' ? parsed(body) : body;
  if (typeof status !== 'object' || status === null) return typeof body === 'string' && body !== '' ? body : undefined;
  const { message } = status as { readonly message?: unknown };
  return typeof message === 'string' && message !== '' ? message : undefined;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}
