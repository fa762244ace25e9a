/** A Cluster with its archive, as plans of recoveries by CloudNativePG are made from. */
import type { CnpgBase } from '../../src/domain/barman.ts';
import { storeOf, type ClusterDefinition, type JsonObject } from '../../src/domain/cnpg-definition.ts';
import type { CnpgPlanInput } from '../../src/domain/cnpg-recovery-plan.ts';
import { parseRecoverArgument } from '../../src/domain/recover-argument.ts';
import { runsOf } from '../../src/domain/wal-archive.ts';
import { segmentName } from '../../src/domain/wal.ts';

const segmentBytes = 16 * 1024 * 1024;

const barman: JsonObject = {
  destinationPath: 's3://postgres-backups/production/',
  endpointURL: 'https://s3.gra.io.cloud.ovh.net',
  s3Credentials: {
    accessKeyId: { name: 'ovh-s3-creds', key: 'ACCESS_KEY_ID' },
    secretAccessKey: { name: 'ovh-s3-creds', key: 'SECRET_ACCESS_KEY' },
  },
  tags: { team: 'identity' },
  wal: { compression: 'gzip', maxParallel: 4 },
};

/** As people write one, with a little of everything. */
export const inTreeSpec: JsonObject = {
  instances: 3,
  imageName: 'ghcr.io/cloudnative-pg/postgresql:17.5',
  enableSuperuserAccess: true,
  superuserSecret: { name: 'logto-postgres-superuser-own' },
  minSyncReplicas: 1,
  maxSyncReplicas: 2,
  storage: { size: '20Gi', storageClass: 'fast' },
  walStorage: { size: '5Gi' },
  tablespaces: [{ name: 'archive', storage: { size: '50Gi' } }],
  resources: { requests: { memory: '2Gi' } },
  affinity: { enablePodAntiAffinity: true },
  postgresql: {
    parameters: { shared_buffers: '512MB', max_logical_replication_workers: '8' },
    shared_preload_libraries: ['pg_cron'],
    synchronous: { method: 'any', number: 1 },
    pg_hba: ['host all all 10.0.0.0/8 scram-sha-256'],
  },
  bootstrap: { initdb: { database: 'logto', owner: 'logto', secret: { name: 'logto-app' } } },
  backup: { retentionPolicy: '30d', target: 'prefer-standby', barmanObjectStore: barman },
  managed: { roles: [{ name: 'reader' }] },
  monitoring: { enablePodMonitor: true },
};

export const pluginSpec: JsonObject = {
  instances: 1,
  imageCatalogRef: { apiGroup: 'postgresql.cnpg.io', kind: 'ImageCatalog', name: 'postgresql', major: 17 },
  storage: { size: '20Gi' },
  plugins: [
    {
      name: 'barman-cloud.cloudnative-pg.io',
      isWALArchiver: true,
      parameters: { barmanObjectName: 'logto-store' },
    },
    { name: 'another.plugin.example' },
  ],
};

export const definition = (spec: JsonObject): ClusterDefinition => ({
  namespace: 'production',
  name: 'logto-postgres',
  spec,
});

export const cnpgBase = (day: number, segment: number, more: Partial<CnpgBase> = {}): CnpgBase => ({
  id: `202611${String(day)}T020000`,
  object: `logto-prod-202611${String(day)}-020000`,
  snapshots: null,
  timeline: 1,
  beginWal: segmentName(1, BigInt(segment), segmentBytes),
  beginLsn: `0/${segment.toString(16).toUpperCase()}000028`,
  endLsn: `0/${segment.toString(16).toUpperCase()}000158`,
  finishedAt: `2026-11-${String(day)}T02:00:18.790Z`,
  systemIdentifier: '7710757928562806804',
  segmentBytes,
  dataBytes: 3_119_610_000,
  ...more,
});

/** Segments by timeline, and when the last of each run was stored. */
export function cnpgWal(
  segments: Readonly<Record<number, readonly number[]>>,
  storedAt: Readonly<Record<string, string>>,
  histories: Readonly<Record<number, readonly [timeline: number, lsn: bigint][]>> = {},
): NonNullable<CnpgPlanInput['wal']> {
  return {
    archive: {
      systemIdentifier: '7710757928562806804',
      segmentBytes,
      segments: new Map(
        Object.entries(segments).map(([timeline, numbers]) => [Number(timeline), runsOf(numbers.map(BigInt))]),
      ),
      histories: new Map(
        Object.entries(histories).map(([timeline, switches]) => [
          Number(timeline),
          switches.map(([left, switchLsn]) => ({ timeline: left, switchLsn })),
        ]),
      ),
    },
    storedAt: new Map(
      Object.entries(storedAt).map(([name, at]) => {
        const [timeline = '1', number = '0'] = name.split(':');
        return [segmentName(Number(timeline), BigInt(number), segmentBytes), at];
      }),
    ),
  };
}

const range = (first: number, last: number) => Array.from({ length: last - first + 1 }, (_, at) => first + at);

export function cnpgInput(target: unknown, more: Partial<CnpgPlanInput> = {}, argument: object = {}): CnpgPlanInput {
  const source = more.definition ?? definition(inTreeSpec);
  return {
    argument: parseRecoverArgument({ cluster: 'logto', target, ...argument }),
    run: '1a2b3c4d',
    installation: 'prod',
    definition: source,
    uid: '6c2f7a3e-0000-4000-8000-000000000000',
    store: storeOf(source, () => barman),
    bases: [cnpgBase(20, 4), cnpgBase(21, 9)],
    wal: cnpgWal({ 1: range(4, 20) }, { '1:20': '2026-11-21T12:00:01.000Z' }),
    live: null,
    now: new Date('2026-11-21T14:00:00Z'),
    taken: { cluster: false, archive: false },
    missingSecrets: [],
    unknown: [],
    ...more,
  };
}
