import type { V1Deployment, V1PersistentVolumeClaim, V1Pod, V1Service, V1StatefulSet } from '@kubernetes/client-node';
import type { ServiceFound } from './services.ts';
import type { Superuser } from './superuser.ts';
import type { VolumeFound } from './volumes.ts';

/** What was listed, as far as the credentials go. CloudNativePG's objects are plain JSON, not looked at yet. */
export interface Listed {
  readonly statefulSets: readonly V1StatefulSet[];
  readonly deployments: readonly V1Deployment[];
  readonly pods: readonly V1Pod[];
  readonly services: readonly V1Service[];
  readonly claims: readonly V1PersistentVolumeClaim[];
  readonly clusters: readonly unknown[];
  readonly scheduledBackups: readonly unknown[];
  readonly poolers: readonly unknown[];
  readonly objectStores: readonly unknown[];
}

/** What is known of every PostgreSQL. */
interface Known {
  readonly namespace: string;
  readonly name: string;
  readonly image: string | undefined;
  /** As its image says: "17.5". */
  readonly version: string | undefined;
}

export interface ClusterFound extends Known {
  readonly kind: 'cnpg';
  readonly instances: number;
  readonly phase: string | undefined;
  readonly primary: string | undefined;
  /** It follows another cluster, and is read-only. */
  readonly replica: boolean;
  /** Its Secret; undefined: it lets no superuser in. */
  readonly superuserSecret: string | undefined;
  readonly storage: string | undefined;
  readonly backups: BackupsFound;
  readonly scheduledBackups: readonly ScheduledBackupFound[];
  readonly poolers: readonly PoolerFound[];
}

/** Where CloudNativePG itself backs a Cluster up to. */
export interface BackupsFound {
  readonly stores: readonly StoreFound[];
  /** Class of volume snapshots, '' for the default; undefined: none are configured. */
  readonly volumeSnapshots: string | undefined;
}

export interface StoreFound {
  readonly by: 'in-tree Barman' | 'plugin barman-cloud';
  /** The ObjectStore that says where to. */
  readonly objectStore: string | undefined;
  /** undefined: the ObjectStore isn't there, or may not be read. */
  readonly destination: string | undefined;
  readonly endpoint: string | undefined;
  readonly retention: string | undefined;
  /** Keys of an S3 store's Secret. */
  readonly credentials: StoreCredentials | undefined;
}

export interface StoreCredentials {
  readonly secret: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

export interface ScheduledBackupFound {
  readonly name: string;
  /** As it is written there, seconds first. */
  readonly schedule: string;
  /** undefined: five fields can't say it. */
  readonly fiveFields: string | undefined;
  readonly method: string;
  readonly suspended: boolean;
}

export interface PoolerFound {
  readonly name: string;
  readonly type: string;
}

/** PostgreSQL in pods that no operator of its own is known for. */
export interface WorkloadFound extends Known {
  readonly kind: 'statefulset' | 'deployment' | 'pod';
  readonly recognisedBy: 'image' | 'port';
  readonly replicas: number;
  /** `replica`: it follows the primary of another workload. */
  readonly role: 'primary' | 'replica';
  readonly electedBy: string | undefined;
  /** What made it and will make it again: "PostgresCluster hippo". */
  readonly madeBy: string | undefined;
  readonly superuser: Superuser;
  readonly services: readonly ServiceFound[];
  /** The Service that a StatefulSet names its pods by: without it they have no names. */
  readonly governingService: { readonly name: string; readonly seen: boolean } | undefined;
  readonly port: number;
  readonly volumes: readonly VolumeFound[];
  /** undefined: the image decides. */
  readonly uid: number | undefined;
  readonly dataDirectory: string | undefined;
}

/** Stands between clients and servers: pgpool, PgBouncer. */
export interface ProxyFound {
  readonly kind: 'proxy';
  readonly namespace: string;
  readonly name: string;
  readonly image: string | undefined;
  readonly what: string;
}

export type Found = ClusterFound | WorkloadFound | ProxyFound;

/** Something that could not be looked at. */
export interface Unread {
  /** "Services in namespace infra" */
  readonly what: string;
  /** A sentence's end: "the credentials may not list services there". */
  readonly why: string;
  /** What to do about it. */
  readonly hint: string;
}

/** Everything in an order of its own: by namespace, then name. */
export interface Discovered {
  readonly found: readonly Found[];
  readonly unread: readonly Unread[];
}
