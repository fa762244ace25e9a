import type { V1Container, V1PodSpec, V1Volume } from '@kubernetes/client-node';

/** Where the value of a container's variable comes from. Values of Secrets are never read. */
export type Source =
  | { readonly from: 'text'; readonly text: string }
  | { readonly from: 'secret'; readonly secret: string; readonly key: string }
  | { readonly from: 'configMap'; readonly configMap: string; readonly key: string }
  /** A file of an image, of a CSI driver, or made by another container. */
  | { readonly from: 'elsewhere'; readonly what: string };

/**
 * The first of these variables that is set, written out, by reference, or as `…_FILE` that names a mounted file.
 * As Kubernetes does, the last of the same name counts.
 */
export function sourceOf(
  spec: V1PodSpec | undefined,
  container: V1Container,
  names: readonly string[],
): Source | undefined {
  for (const name of names) {
    const source = ofVariable(container, name) ?? ofFile(spec, container, `${name}_FILE`);
    if (source !== undefined) return source;
  }
  return undefined;
}

function ofVariable({ env = [] }: V1Container, name: string): Source | undefined {
  const variable = env.findLast((one) => one.name === name);
  if (variable === undefined) return undefined;
  const secretKeyRef = variable.valueFrom?.secretKeyRef;
  const configMapKeyRef = variable.valueFrom?.configMapKeyRef;
  if (secretKeyRef?.name !== undefined) return { from: 'secret', secret: secretKeyRef.name, key: secretKeyRef.key };
  if (configMapKeyRef?.name !== undefined)
    return { from: 'configMap', configMap: configMapKeyRef.name, key: configMapKeyRef.key };
  if (variable.value === undefined || variable.value === '') return undefined;
  return variable.value.includes('$(')
    ? { from: 'elsewhere', what: `the variable ${name}, which is put together from others` }
    : { from: 'text', text: variable.value };
}

function ofFile(spec: V1PodSpec | undefined, container: V1Container, name: string): Source | undefined {
  const file = ofVariable(container, name);
  if (file === undefined) return undefined;
  if (file.from !== 'text') return { from: 'elsewhere', what: `the file that ${name} names` };
  const path = file.text;
  const mount = (container.volumeMounts ?? [])
    .filter(({ mountPath }) => path === mountPath || path.startsWith(`${mountPath.replace(/\/$/, '')}/`))
    .sort((one, other) => other.mountPath.length - one.mountPath.length)[0];
  const volume = spec?.volumes?.find((one) => one.name === mount?.name);
  if (mount === undefined || volume === undefined) return { from: 'elsewhere', what: `the file ${path}` };
  const inVolume = [mount.subPath ?? '', path.slice(mount.mountPath.length)]
    .join('/')
    .split('/')
    .filter((part) => part !== '')
    .join('/');
  return keyAt(volume, inVolume) ?? { from: 'elsewhere', what: `the file ${path} of volume ${volume.name}` };
}

interface Shown {
  readonly items?: readonly { readonly key: string; readonly path: string }[];
}

/** Without a list of items a volume holds every key under its own name. */
const keyIn = ({ items }: Shown, path: string) =>
  items === undefined || items.length === 0 ? path : items.find((item) => item.path === path)?.key;

function keyAt({ secret, configMap, projected }: V1Volume, path: string): Source | undefined {
  const places = [
    ...(secret?.secretName === undefined ? [] : [{ secret: secret.secretName, shown: secret }]),
    ...(configMap?.name === undefined ? [] : [{ configMap: configMap.name, shown: configMap }]),
    ...(projected?.sources ?? []).flatMap((one) => [
      ...(one.secret?.name === undefined ? [] : [{ secret: one.secret.name, shown: one.secret }]),
      ...(one.configMap?.name === undefined ? [] : [{ configMap: one.configMap.name, shown: one.configMap }]),
    ]),
  ];
  // A source that names the path is surer than one that shows all of its keys.
  const listed = places.find(({ shown }) => (shown.items ?? []).some((item) => item.path === path));
  const place = listed ?? places.find(({ shown }) => (shown.items ?? []).length === 0);
  const key = place === undefined ? undefined : keyIn(place.shown, path);
  if (place === undefined || key === undefined || key === '') return undefined;
  return 'secret' in place
    ? { from: 'secret', secret: place.secret, key }
    : { from: 'configMap', configMap: place.configMap, key };
}
