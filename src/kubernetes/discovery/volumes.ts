import type { V1PersistentVolumeClaim, V1PodSpec, V1StatefulSet } from '@kubernetes/client-node';

/** A volume claim and what it holds at most. */
export interface VolumeFound {
  readonly claim: string;
  /** As Kubernetes writes it: "8Gi"; undefined: not known, since claims may not be read. */
  readonly size: string | undefined;
  readonly storageClass: string | undefined;
}

/** Claims of a StatefulSet: of its templates, one for each pod, and those that its pods share. */
export function volumesOfSet(set: V1StatefulSet, claims: readonly V1PersistentVolumeClaim[]): VolumeFound[] {
  const name = set.metadata?.name ?? '';
  const namespace = set.metadata?.namespace ?? '';
  const first = set.spec?.ordinals?.start ?? 0;
  const own = (set.spec?.volumeClaimTemplates ?? []).flatMap((template) =>
    Array.from({ length: set.spec?.replicas ?? 1 }, (_, index) =>
      volume(namespace, `${template.metadata?.name ?? ''}-${name}-${String(first + index)}`, claims, template),
    ),
  );
  return [...own, ...volumesOfPod(set.spec?.template.spec, namespace, claims)];
}

export const volumesOfPod = (
  spec: V1PodSpec | undefined,
  namespace: string,
  claims: readonly V1PersistentVolumeClaim[],
): VolumeFound[] =>
  (spec?.volumes ?? []).flatMap(({ persistentVolumeClaim }) =>
    persistentVolumeClaim === undefined ? [] : [volume(namespace, persistentVolumeClaim.claimName, claims)],
  );

/** What a claim has, else what it asks for, else what its template asks for: claims grow, templates can't. */
function volume(
  namespace: string,
  claim: string,
  claims: readonly V1PersistentVolumeClaim[],
  template?: V1PersistentVolumeClaim,
): VolumeFound {
  const found = claims.find(({ metadata }) => metadata?.namespace === namespace && metadata.name === claim);
  const spec = found?.spec ?? template?.spec;
  return {
    claim,
    size: found?.status?.capacity?.['storage'] ?? spec?.resources?.requests?.['storage'],
    storageClass: spec?.storageClassName,
  };
}
