import type { ClusterConfig } from './config.ts';

/** The pod in which dumps of a cluster in Kubernetes are drilled, as the configuration wants it. */
export interface DrillPodSpec {
  readonly namespace: string;
  /** Whether that is the cluster's own namespace. */
  readonly isAtHome: boolean;
  /** null: the one that the cluster runs. */
  readonly image: string | null;
  readonly storage: {
    /** null: by what the backup's databases took. */
    readonly bytes: number | null;
    /** null: the node's disk. */
    readonly storageClass: string | null;
  };
  readonly resources: {
    readonly requests: Readonly<Record<string, string>>;
    readonly limits: Readonly<Record<string, string>>;
  };
}

const usualResources = { requests: { cpu: '100m', memory: '512Mi' }, limits: { memory: '2Gi' } };

/** null: the cluster's backups are drilled on the worker's disk. Pure. */
export function drillPodSpec({ cnpg, statefulset, drill = {} }: ClusterConfig): DrillPodSpec | null {
  const home = (cnpg ?? statefulset)?.namespace;
  if (home === undefined || drill.on === 'worker') return null;
  const { namespace = home, image, storage, resources } = drill;
  return {
    namespace,
    isAtHome: namespace === home,
    image: image ?? null,
    storage: {
      bytes: storage?.size === undefined ? null : bytesOfSize(storage.size),
      storageClass: storage?.storageClass ?? null,
    },
    resources: {
      requests: given(resources?.requests) ?? usualResources.requests,
      limits: given(resources?.limits) ?? usualResources.limits,
    },
  };
}

const given = (amounts: { readonly cpu?: string | undefined; readonly memory?: string | undefined } | undefined) =>
  amounts === undefined
    ? undefined
    : Object.fromEntries(Object.entries(amounts).filter((entry): entry is [string, string] => entry[1] !== undefined));

const units = { Mi: 1024 ** 2, Gi: 1024 ** 3, Ti: 1024 ** 4 } as const;

/** "20Gi" in bytes. */
const bytesOfSize = (size: string) => Number.parseInt(size, 10) * units[size.slice(-2) as keyof typeof units];

/**
 * How large the volume of a drill is: what the databases took, half as much again for what sorting and log need, and
 * two gigabytes; in whole mebibytes. Pure.
 */
export const usualDrillBytes = (databases: number) => Math.ceil((databases * 1.5 + 2 * units.Gi) / units.Mi) * units.Mi;
