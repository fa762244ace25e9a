import type { Backup } from '../../src/domain/catalog.ts';
import { HoldfastError } from '../../src/domain/errors.ts';
import type { DatabaseRecord, Manifest } from '../../src/domain/manifest.ts';
import type { RestoreFacts, RestorePlan } from '../../src/domain/plan.ts';

/** Backups and plans that tests change a member or two of. */

export function databaseRecord(name: string, status: DatabaseRecord['status'] = 'dumped'): DatabaseRecord {
  return {
    name,
    oid: 16384,
    owner: 'app',
    encoding: 'UTF8',
    collate: 'C.UTF-8',
    ctype: 'C.UTF-8',
    localeProvider: 'libc',
    locale: null,
    icuRules: null,
    collationVersion: null,
    tablespace: 'pg_default',
    connectionLimit: -1,
    isTemplate: false,
    properties: null,
    bytes: 8_000_000,
    status,
    reason: status === 'dumped' ? null : `told to be ${status}`,
    snapshotAt: status === 'dumped' ? '2026-11-21T02:00:01.000Z' : null,
    extensions: [],
    tables: [['public', 'accounts', 3]],
    roles: ['app'],
    tablespaces: [],
  };
}

const digest = (digit: string) => digit.repeat(64);

export function manifest(more: Partial<Manifest> = {}): Manifest {
  const id = more.id ?? 'postgres-backup-20261121-020000';
  const object = `${id}.sql.gz`;
  const part = { object, plain: null, compression: 'gzip', encryption: null } as const;
  return {
    version: 1,
    id,
    installation: 'homelab',
    cluster: 'jigga',
    policy: 'jigga-daily',
    method: 'pg_dumpall',
    status: 'complete',
    startedAt: '2026-11-21T02:00:00.000Z',
    finishedAt: '2026-11-21T02:00:09.000Z',
    run: { workflowId: 'backup/jigga-daily', firstExecutionRunId: 'c0ffee' },
    server: {
      version: '17.6',
      versionNum: 170_006,
      systemIdentifier: '7412345678901234567',
      timeline: 1,
      inRecovery: false,
      bootstrapRole: 'postgres',
    },
    tools: { postgresql: '17.6' },
    objects: [{ key: object, bytes: 1000, sha256: digest('a') }],
    parts: [
      { ...part, name: 'globals', offset: 0, length: 100, sha256: digest('b') },
      { ...part, name: 'properties', database: 'gatus', offset: 100, length: 50, sha256: digest('c') },
      { ...part, name: 'content', database: 'gatus', offset: 150, length: 800, sha256: digest('d') },
      { ...part, name: 'footer', offset: 950, length: 50, sha256: digest('e') },
    ],
    databases: [databaseRecord('gatus')],
    roles: [{ name: 'app', superuser: false, canLogin: true }],
    tablespaces: [],
    warnings: [],
    signature: null,
    ...more,
  };
}

export function backup(
  more: Partial<Manifest> = {},
  verification: Backup['verification'] = 'none',
  drill: Backup['drill'] = 'none',
): Backup {
  const made = manifest(more);
  return { manifest: made, manifestKey: `${made.id}.manifest.json`, verification, drill };
}

export function restorePlan(
  facts: Partial<RestoreFacts> = {},
  more: Partial<Omit<RestorePlan, 'facts'>> = {},
): RestorePlan {
  return {
    facts: {
      version: 1,
      kind: 'swap',
      run: 'a1b2c3d4',
      source: {
        cluster: 'jigga',
        repository: 'nas',
        backup: 'postgres-backup-20261121-020000',
        manifest: digest('1'),
        takenAt: '2026-11-21T02:00:01.000Z',
      },
      target: {
        cluster: 'jigga',
        address: 'db.example.internal:5432',
        systemIdentifier: '7412345678901234567',
        timeline: 1,
        versionNum: 170_006,
        database: 'gatus',
        liveOid: 16_384,
      },
      copyName: 'gatus_new_a1b2c3d4',
      copyOid: null,
      oldName: 'gatus_old_a1b2c3d4',
      properties: { from: 'live', digest: digest('2') },
      createRoles: [],
      adopts: null,
      report: null,
      ...facts,
    },
    estimates: {
      backupAgeSeconds: 34_000,
      readBytes: 12_400_000,
      needBytes: 1_510_000_000,
      freeBytes: 84_000_000_000,
      expectedSeconds: 75,
      sessions: 12,
    },
    obstacles: [],
    ...more,
  };
}

/** What a person reads of an error: its type, its text, and the hint. */
export function told(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof HoldfastError) return `${error.type}: ${error.message}\nhint: ${error.hint}\n`;
    throw error;
  }
  return 'nothing was thrown\n';
}
