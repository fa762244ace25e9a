import { z } from 'zod';
import { HoldfastError } from '../../domain/errors.ts';
import { cnpgApi } from '../cnpg/cluster.ts';
import type { Kubernetes } from '../connection.ts';
import { found } from '../failures.ts';
import { readObject } from '../read-object.ts';

/** What a drill's pod takes from the cluster that it stands for. */
export interface PodPattern {
  readonly image: string;
  readonly pullPolicy: string | null;
  /** Names of Secrets in the cluster's namespace. */
  readonly pullSecrets: readonly string[];
  readonly uid: number;
  readonly gid: number;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly Readonly<Record<string, unknown>>[];
}

export type PatternPlace =
  | { readonly cnpg: { readonly namespace: string; readonly name: string } }
  | { readonly statefulset: { readonly namespace: string; readonly name: string } };

const scheduling = {
  nodeSelector: z.record(z.string(), z.string()).optional(),
  tolerations: z.array(z.record(z.string(), z.unknown())).optional(),
};
const pullSecrets = z.array(z.object({ name: z.string().optional() })).optional();

const clusterSchema = z.object({
  spec: z.object({
    imagePullPolicy: z.string().optional(),
    imagePullSecrets: pullSecrets,
    postgresUID: z.number().optional(),
    postgresGID: z.number().optional(),
    affinity: z.object(scheduling).optional(),
  }),
  status: z.object({ image: z.string().optional() }).optional(),
});

const securityContext = z.object({ runAsUser: z.number().optional(), runAsGroup: z.number().optional() }).optional();

const statefulSetSchema = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        ...scheduling,
        imagePullSecrets: pullSecrets,
        securityContext,
        containers: z
          .array(
            z.object({
              image: z.string().optional(),
              imagePullPolicy: z.string().optional(),
              ports: z.array(z.object({ containerPort: z.number() })).optional(),
              securityContext,
            }),
          )
          .min(1),
      }),
    }),
  }),
});

/** CloudNativePG's own, as of 1.30. */
const cnpgUid = 26;
/** Docker's official image starts as root and becomes this one; files of an image are everybody's to read. */
const usualUid = 999;

/**
 * Reads how the cluster's own pods are made. ConfigurationInvalid where the cluster isn't there, or says no image, and
 * none is given.
 * @param image instead of the cluster's own; null: its own
 */
export async function readPattern(
  kubernetes: Pick<Kubernetes, 'apps' | 'custom'>,
  place: PatternPlace,
  image: string | null,
): Promise<PodPattern> {
  if ('cnpg' in place) {
    const { namespace, name } = place.cnpg;
    const what = `Cluster ${namespace}/${name}`;
    const there: unknown = await found(
      `read ${what}`,
      kubernetes.custom.getNamespacedCustomObject({ ...cnpgApi, plural: 'clusters', namespace, name }),
    );
    const pattern = there === undefined ? undefined : patternOfCluster(readObject(clusterSchema, what, there));
    return withImage(what, pattern ?? nothing(cnpgUid), image);
  }
  const { namespace, name } = place.statefulset;
  const what = `StatefulSet ${namespace}/${name}`;
  const there = await found(`read ${what}`, kubernetes.apps.readNamespacedStatefulSet({ name, namespace }));
  const pattern = there === undefined ? undefined : patternOfStatefulSet(readObject(statefulSetSchema, what, there));
  return withImage(what, pattern ?? nothing(usualUid), image);
}

type Imageless = Omit<PodPattern, 'image'> & { readonly image: string | null };

const nothing = (uid: number): Imageless => ({
  image: null,
  pullPolicy: null,
  pullSecrets: [],
  uid,
  gid: uid,
  nodeSelector: {},
  tolerations: [],
});

function withImage(what: string, pattern: Imageless, image: string | null): PodPattern {
  const chosen = image ?? pattern.image;
  if (chosen !== null) return { ...pattern, image: chosen };
  throw new HoldfastError(
    'ConfigurationInvalid',
    `${what} is not there, or doesn't say which image it runs`,
    "name the image for drills in the cluster's configuration, drill: { image: … }, or drill on the worker: drill: { on: worker }",
  );
}

/** Pure. */
export function patternOfCluster({ spec, status }: z.infer<typeof clusterSchema>): Imageless {
  return {
    image: status?.image ?? null,
    pullPolicy: spec.imagePullPolicy ?? null,
    pullSecrets: namesOf(spec.imagePullSecrets),
    uid: spec.postgresUID ?? cnpgUid,
    gid: spec.postgresGID ?? spec.postgresUID ?? cnpgUid,
    nodeSelector: spec.affinity?.nodeSelector ?? {},
    tolerations: spec.affinity?.tolerations ?? [],
  };
}

/** Of several containers the one that listens on PostgreSQL's port, else the first. Pure. */
export function patternOfStatefulSet({ spec }: z.infer<typeof statefulSetSchema>): Imageless {
  const pod = spec.template.spec;
  const container =
    pod.containers.find(({ ports }) => ports?.some(({ containerPort }) => containerPort === 5432)) ?? pod.containers[0];
  const wanted = container?.securityContext?.runAsUser ?? pod.securityContext?.runAsUser ?? 0;
  const uid = wanted === 0 ? usualUid : wanted;
  const group = container?.securityContext?.runAsGroup ?? pod.securityContext?.runAsGroup ?? uid;
  return {
    image: container?.image ?? null,
    pullPolicy: container?.imagePullPolicy ?? null,
    pullSecrets: namesOf(pod.imagePullSecrets),
    uid,
    gid: wanted === 0 ? usualUid : group,
    nodeSelector: pod.nodeSelector ?? {},
    tolerations: pod.tolerations ?? [],
  };
}

const namesOf = (references: z.infer<typeof pullSecrets>) => (references ?? []).flatMap(({ name }) => name ?? []);
