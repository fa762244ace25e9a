import { z } from 'zod';
import type { V1ListMeta, V1Pod } from '@kubernetes/client-node';
import { barmanApi, cnpgApi } from '../cnpg/cluster.ts';
import type { Kubernetes } from '../connection.ts';
import { readObject } from '../read-object.ts';
import type { Listed } from './found.ts';

/** What is asked of each page of a list. */
export interface PageRequest {
  readonly limit: number;
  readonly _continue?: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** undefined or '': it was the last. */
  readonly next: string | undefined;
}

/** One kind of objects, and the two ways to list it. */
export interface Resource<Item> {
  /** As rules of RBAC name it, its group behind a dot. */
  readonly rule: string;
  /** "StatefulSets" */
  readonly inWords: string;
  inNamespace(namespace: string, page: PageRequest): Promise<Page<Item>>;
  everywhere(page: PageRequest): Promise<Page<Item>>;
}

type Typed = Omit<Listed, keyof ReturnType<typeof customResources>>;

/** What every Kubernetes has. */
export function builtInResources({ core, apps }: Pick<Kubernetes, 'core' | 'apps'>): {
  readonly [Member in keyof Typed]: Resource<Typed[Member][number]>;
} {
  return {
    statefulSets: {
      rule: 'statefulsets.apps',
      inWords: 'StatefulSets',
      inNamespace: async (namespace, page) => paged(await apps.listNamespacedStatefulSet({ namespace, ...page })),
      everywhere: async (page) => paged(await apps.listStatefulSetForAllNamespaces(page)),
    },
    deployments: {
      rule: 'deployments.apps',
      inWords: 'Deployments',
      inNamespace: async (namespace, page) => paged(await apps.listNamespacedDeployment({ namespace, ...page })),
      everywhere: async (page) => paged(await apps.listDeploymentForAllNamespaces(page)),
    },
    pods: {
      rule: 'pods',
      inWords: 'pods',
      inNamespace: async (namespace, page) => telling(paged(await core.listNamespacedPod({ namespace, ...page }))),
      everywhere: async (page) => telling(paged(await core.listPodForAllNamespaces(page))),
    },
    services: {
      rule: 'services',
      inWords: 'Services',
      inNamespace: async (namespace, page) => paged(await core.listNamespacedService({ namespace, ...page })),
      everywhere: async (page) => paged(await core.listServiceForAllNamespaces(page)),
    },
    claims: {
      rule: 'persistentvolumeclaims',
      inWords: 'PersistentVolumeClaims',
      inNamespace: async (namespace, page) =>
        paged(await core.listNamespacedPersistentVolumeClaim({ namespace, ...page })),
      everywhere: async (page) => paged(await core.listPersistentVolumeClaimForAllNamespaces(page)),
    },
  };
}

/** CloudNativePG's and its plugin's; there may be none of them. */
export function customResources(custom: Kubernetes['custom']) {
  const resource = (api: typeof cnpgApi | typeof barmanApi, plural: string, inWords: string) => ({
    ...api,
    plural,
    rule: `${plural}.${api.group}`,
    inWords,
    inNamespace: async (namespace: string, page: PageRequest) =>
      plainPage(inWords, await custom.listNamespacedCustomObject({ ...api, plural, namespace, ...page })),
    everywhere: async (page: PageRequest) =>
      plainPage(inWords, await custom.listClusterCustomObject({ ...api, plural, ...page })),
  });
  return {
    clusters: resource(cnpgApi, 'clusters', 'Clusters of CloudNativePG'),
    scheduledBackups: resource(cnpgApi, 'scheduledbackups', 'ScheduledBackups of CloudNativePG'),
    poolers: resource(cnpgApi, 'poolers', 'Poolers of CloudNativePG'),
    objectStores: resource(barmanApi, 'objectstores', 'ObjectStores of the Barman Cloud plugin'),
  };
}

const paged = <Item>({ items, metadata }: { readonly items: Item[]; readonly metadata?: V1ListMeta }): Page<Item> => ({
  items,
  next: metadata?._continue,
});

const plainList = z.object({
  items: z.array(z.unknown()),
  metadata: z.object({ continue: z.string().optional() }).optional(),
});

function plainPage(inWords: string, list: unknown): Page<unknown> {
  const { items, metadata } = readObject(plainList, `the list of ${inWords}`, list);
  return { items, next: metadata?.continue };
}

/** Of a large cluster's pods few tell anything: those of StatefulSets, and those that nothing made. */
const telling = ({ items, next }: Page<V1Pod>): Page<V1Pod> => ({
  items: items.filter(({ metadata }) =>
    (metadata?.ownerReferences ?? []).every(({ controller, kind }) => controller !== true || kind === 'StatefulSet'),
  ),
  next,
});
