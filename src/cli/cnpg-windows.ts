import type { Config } from '../domain/config.ts';
import { HoldfastError } from '../domain/errors.ts';
import { readCluster } from '../kubernetes/cnpg/cluster.ts';
import { readRecoverability, type Recoverability } from '../kubernetes/cnpg/recoverability.ts';
import { openKubernetes, type Kubernetes } from '../kubernetes/connection.ts';

/** From when on a cluster of CloudNativePG can be recovered, as it says, or why that isn't known here. */
export type CnpgWindow = { readonly cluster: string; readonly place: string } & (
  Recoverability | { readonly error: HoldfastError }
);

/** @param only one cluster by its name; default: all that a policy of method cnpg backs up */
export async function readCnpgWindows(
  environment: Readonly<Record<string, string | undefined>>,
  config: Config,
  only: string | undefined,
): Promise<readonly CnpgWindow[]> {
  const wanted = Object.entries(config.clusters).flatMap(([cluster, { cnpg }]) => {
    const isWanted =
      only === undefined
        ? Object.values(config.policies).some((policy) => policy.method === 'cnpg' && policy.cluster === cluster)
        : cluster === only;
    return cnpg !== undefined && isWanted ? [{ cluster, cnpg }] : [];
  });
  let opening: Promise<Kubernetes> | undefined;
  return Promise.all(
    wanted.map(async ({ cluster, cnpg }) => {
      const place = `${cnpg.namespace}/${cnpg.name}`;
      try {
        const kubernetes = await (opening ??= openKubernetes(environment));
        return { cluster, place, ...(await readRecoverability(kubernetes, await readCluster(kubernetes, cnpg))) };
      } catch (error) {
        if (!(error instanceof HoldfastError)) throw error;
        return { cluster, place, error };
      }
    }),
  );
}
