/**
 * The Kubernetes cluster that `npm run e2e` brings up (or that HOLDFAST_E2E_KUBECONFIG names), for its tests: objects,
 * waiting for what they say, a few words with psql in a pod, and a namespace that goes away with its test. Pods and
 * Services are reached by name from the test's own process.
 */
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import {
  ApiException,
  CoreV1Api,
  KubeConfig,
  KubernetesObjectApi,
  loadAllYaml,
  PatchStrategy,
  V1Namespace,
  V1ObjectMeta,
  type KubernetesObject,
} from '@kubernetes/client-node';
import { clusterS3, type ClusterS3, type S3Facts } from './cluster-s3.ts';
import { execInPod, type Executed, type PodCommand } from './pod-exec.ts';

const FIELD_MANAGER = 'holdfast-test';
const POLL_MS = 300;
const PATIENCE_MS = 300_000;
/** What hangs ends some time; how long something may take on a busy machine is nothing that it says. */
const HANGS_AFTER_MS = 600_000;
const OF_PROCESS = 'holdfast.test/process';
const OF_MACHINE = 'holdfast.test/machine';
const machine = createHash('sha256').update(hostname()).digest('hex').slice(0, 12);

/** Names one object. `namespace` is left out for what lies in none. */
export interface Reference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly namespace?: string | undefined;
}

/** An object as the cluster shows it; a test that wants more of it says of which type it is. */
export interface Seen extends KubernetesObject {
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly status?: Readonly<Record<string, unknown>>;
}

export interface Waiting {
  /** In words, for the error. */
  readonly what: string;
  /** Ten minutes by default. */
  readonly timeoutMs?: number;
}

export interface PodSql {
  readonly pod: string;
  /** `postgres` by default, as in CloudNativePG's pods. */
  readonly container?: string;
  readonly database?: string;
  readonly user?: string;
  readonly sql: string;
}

/** A namespace of a test's own. Where a `namespace` is wanted below, it is this one. */
export interface Namespace {
  readonly name: string;
  /** Objects, or YAML with any number of them. What lies in a namespace and names none lies in this one. */
  apply(what: string | readonly object[]): Promise<void>;
  get<T extends KubernetesObject = Seen>(reference: Reference): Promise<T | undefined>;
  list<T extends KubernetesObject = Seen>(
    wanted: Pick<Reference, 'apiVersion' | 'kind'> & { readonly labels?: string },
  ): Promise<readonly T[]>;
  /** Deletes it and waits until it is gone, or another one in its place. Harmless when it isn't there. */
  delete(reference: Reference, waiting?: Pick<Waiting, 'timeoutMs'>): Promise<void>;
  /**
   * Waits until the object is there and `holds` for it, and answers with it. Else an error that shows the object's
   * last state.
   */
  waitUntil<T extends KubernetesObject = Seen>(
    reference: Reference,
    holds: (object: T) => boolean,
    waiting: Waiting,
  ): Promise<T>;
  /** Until a CloudNativePG Cluster is healthy with all its instances. */
  waitUntilHealthy(cluster: string, timeoutMs?: number): Promise<Seen>;
  /** The Secret's values as text. */
  secret(name: string): Promise<Readonly<Record<string, string>>>;
  exec(command: PodCommand): Promise<Executed>;
  /** What psql prints for one statement: rows on lines, columns with `|` between. Its error is an error. */
  psql(sql: PodSql): Promise<string>;
  /** Deletes it with all that is in it, and waits until it is gone. */
  remove(): Promise<void>;
}

export interface Kubernetes {
  /** An administrator's. */
  readonly kubeconfigFile: string;
  /** For the classes of the client library. */
  readonly config: KubeConfig;
  readonly storageClass: string;
  readonly s3: ClusterS3;
  /** Such as image('postgresql-17'), image('bitnami-postgresql-17'), image('docker-postgresql-17'). */
  image(name: string): string;
  /** Whether there is such an image: those of a PostgreSQL that Debian doesn't have everywhere may be missing. */
  hasImage(name: string): boolean;
  makeNamespace(label: string): Promise<Namespace>;
  /** Makes a namespace for the time that `work` takes. */
  withNamespace<T>(label: string, work: (namespace: Namespace) => Promise<T>): Promise<T>;
}

/** What HOLDFAST_E2E_CLUSTER holds, as JSON. */
interface Facts {
  readonly storageClass: string;
  readonly images: Readonly<Record<string, string>>;
  readonly s3: S3Facts;
}

/** Knows which kinds lie in a namespace, which the library keeps to itself. */
class Objects extends KubernetesObjectApi {
  async isNamespaced({ apiVersion = '', kind = '' }: KubernetesObject): Promise<boolean> {
    const resource = await this.resource(apiVersion, kind);
    if (resource === undefined) throw new Error(`the cluster knows no ${kind} of ${apiVersion}`);
    return resource.namespaced;
  }
}

/** The cluster that the tests were started for. */
export function openKubernetes(): Kubernetes {
  const { HOLDFAST_E2E_KUBECONFIG: kubeconfigFile = '', HOLDFAST_E2E_CLUSTER: factsFile = '' } = process.env;
  if (!existsSync(kubeconfigFile) || !existsSync(factsFile)) {
    throw new Error('these tests need a cluster. Type: npm run e2e -- and the name of the test file');
  }
  const facts = JSON.parse(readFileSync(factsFile, 'utf8')) as Facts;
  const config = new KubeConfig();
  config.loadFromFile(kubeconfigFile);

  const makeNamespace = async (label: string): Promise<Namespace> => {
    await sweep(config);
    const name = `${label}-${randomBytes(3).toString('hex')}`;
    const body = new V1Namespace();
    body.metadata = new V1ObjectMeta();
    body.metadata.name = name;
    body.metadata.labels = { [OF_PROCESS]: String(process.pid), [OF_MACHINE]: machine };
    await config.makeApiClient(CoreV1Api).createNamespace({ body });
    return namespaceOf(config, name);
  };
  return {
    kubeconfigFile,
    config,
    storageClass: facts.storageClass,
    s3: clusterS3(facts.s3),
    image(name) {
      const reference = facts.images[name];
      if (reference === undefined) {
        throw new Error(`the cluster has no image ${name}, only ${Object.keys(facts.images).join(', ')}`);
      }
      return reference;
    },
    hasImage: (name) => name in facts.images,
    makeNamespace,
    async withNamespace(label, work) {
      const namespace = await makeNamespace(label);
      try {
        return await work(namespace);
      } finally {
        await namespace.remove();
      }
    },
  };
}

function namespaceOf(config: KubeConfig, name: string): Namespace {
  const objects = config.makeApiClient(Objects);
  const core = config.makeApiClient(CoreV1Api);
  const get = async <T extends KubernetesObject>(reference: Reference): Promise<T | undefined> =>
    await unlessGone(objects.read<T>(header(reference, name)));

  const namespace: Namespace = {
    name,
    async apply(what) {
      const all = (typeof what === 'string' ? loadAllYaml(what) : what) as readonly (KubernetesObject | null)[];
      for (const given of all) {
        if (given === null) continue;
        const object = structuredClone(given);
        object.metadata ??= new V1ObjectMeta();
        if (await objects.isNamespaced(given)) object.metadata.namespace ??= name;
        await withPatience(() =>
          objects.patch(object, undefined, undefined, FIELD_MANAGER, true, PatchStrategy.ServerSideApply),
        );
      }
    },
    get,
    async list<T extends KubernetesObject>({
      apiVersion,
      kind,
      labels,
    }: Pick<Reference, 'apiVersion' | 'kind'> & { readonly labels?: string }) {
      const none = undefined;
      const { items } = await objects.list<T>(apiVersion, kind, name, none, none, none, none, labels);
      return items;
    },
    async delete(reference, { timeoutMs = HANGS_AFTER_MS } = {}) {
      const none = undefined;
      const uid = (await get(reference))?.metadata?.uid;
      if (uid === undefined) return;
      await unlessGone(objects.delete(header(reference, name), none, none, none, none, 'Background'));
      await poll(
        async () => ((await get(reference))?.metadata?.uid === uid ? undefined : true),
        async () => `${nameOf(reference)} is not gone:\n${show(await get(reference))}`,
        timeoutMs,
      );
    },
    async waitUntil<T extends KubernetesObject>(
      reference: Reference,
      holds: (object: T) => boolean,
      { what, timeoutMs = HANGS_AFTER_MS }: Waiting,
    ) {
      let last: T | undefined;
      return await poll(
        async () => {
          last = await get<T>(reference);
          return last !== undefined && holds(last) ? last : undefined;
        },
        () => `${nameOf(reference)}: not in time: ${what}. Its last state:\n${show(last)}`,
        timeoutMs,
      );
    },
    async waitUntilHealthy(cluster, timeoutMs = HANGS_AFTER_MS) {
      const reference = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', name: cluster };
      return await namespace.waitUntil(reference, isHealthy, { what: 'it is healthy', timeoutMs });
    },
    async secret(secretName) {
      const reference = { apiVersion: 'v1', kind: 'Secret', name: secretName };
      const found = await get<KubernetesObject & { data?: Record<string, string> }>(reference);
      if (found === undefined) throw new Error(`there is no ${nameOf({ ...reference, namespace: name })}`);
      const decoded = Object.entries(found.data ?? {}).map(([key, value]) => [
        key,
        Buffer.from(value, 'base64').toString(),
      ]);
      return Object.fromEntries(decoded) as Readonly<Record<string, string>>;
    },
    exec: (command) => execInPod(config, name, command),
    async psql({ pod, container = 'postgres', database = 'postgres', user, sql }) {
      const who = user === undefined ? [] : ['-U', user];
      const command = ['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', ...who, '-d', database, '-c', sql];
      const { code, stdout, stderr } = await execInPod(config, name, { pod, container, command });
      if (code !== 0) throw new Error(`psql in pod ${name}/${pod} ended with ${code}: ${stderr.trim()}`);
      return stdout.trimEnd();
    },
    async remove() {
      if ((await unlessGone(core.deleteNamespace({ name }))) === undefined) return;
      await poll(
        async () => {
          // In a namespace that is going nothing is made anew, and nobody is left to whom a pod would have to be gentle.
          await unlessGone(core.deleteCollectionNamespacedPod({ namespace: name, gracePeriodSeconds: 1 }));
          return (await unlessGone(core.readNamespace({ name }))) === undefined ? true : undefined;
        },
        async () => `namespace ${name} is not gone:\n${show(await unlessGone(core.readNamespace({ name })))}`,
        HANGS_AFTER_MS,
      );
    },
  };
  return namespace;
}

/** What a test that was killed left behind. */
async function sweep(config: KubeConfig): Promise<void> {
  const core = config.makeApiClient(CoreV1Api);
  const { items } = await core.listNamespace({ labelSelector: `${OF_MACHINE}=${machine}` });
  for (const { metadata } of items) {
    const pid = Number(metadata?.labels?.[OF_PROCESS]);
    if (existsSync(`/proc/${String(pid)}`) || metadata?.deletionTimestamp !== undefined) continue;
    await unlessGone(core.deleteNamespace({ name: metadata?.name ?? '' }));
  }
}

function isHealthy({ spec, status }: Seen): boolean {
  return status?.['phase'] === 'Cluster in healthy state' && status['readyInstances'] === spec?.['instances'];
}

/** Nothing where the cluster says that there is no such thing. */
async function unlessGone<T>(answer: Promise<T>): Promise<T | undefined> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof ApiException && error.code === 404) return undefined;
    throw error;
  }
}

/** A webhook that has just started refuses for a moment, and so does an API server that is busy. */
async function withPatience<T>(work: () => Promise<T>): Promise<T> {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      const isPassing = !(error instanceof ApiException) || error.code === 429 || error.code >= 500;
      if (!isPassing || Date.now() > deadline) throw error;
      await sleep(POLL_MS);
    }
  }
}

/** Asks until there is an answer; a question that can't be put right now is put again. */
async function poll<T>(
  ask: () => Promise<T | undefined>,
  complaint: () => string | Promise<string>,
  timeoutMs: number,
): Promise<T> {
  let trouble: unknown;
  for (const deadline = Date.now() + timeoutMs; ;) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
      trouble = undefined;
    } catch (error) {
      trouble = error;
    }
    if (Date.now() > deadline) throw new Error(await complaint(), { cause: trouble });
    await sleep(POLL_MS);
  }
}

function header({ apiVersion, kind, name, namespace }: Reference, ours: string) {
  const metadata = new V1ObjectMeta() as V1ObjectMeta & { name: string; namespace: string };
  metadata.name = name;
  metadata.namespace = namespace ?? ours;
  return { apiVersion, kind, metadata };
}

const nameOf = ({ kind, namespace, name }: Reference) => [kind, namespace, name].filter(Boolean).join(' ');

function show(object: KubernetesObject | undefined): string {
  if (object === undefined) return 'it is not there';
  const shown = structuredClone(object);
  if (shown.metadata !== undefined) delete shown.metadata.managedFields;
  return inspect(shown, { depth: 12, breakLength: 120 });
}
