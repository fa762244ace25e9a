import {
  baseManifestKey,
  baseManifestSchema,
  type BaseBackup,
  type BaseManifest,
} from '../../src/domain/base-manifest.ts';
import type { RecoverArgument } from '../../src/domain/recover-argument.ts';
import { parseRecoverArgument } from '../../src/domain/recover-argument.ts';
import type { RecoveryPlanFacts } from '../../src/domain/recovery-facts.ts';
import type { TimelineHistory } from '../../src/domain/timeline.ts';
import { buildArchive, type Archived, type WalArchive } from '../../src/domain/wal-archive.ts';
import { formatLsn, parseLsn, segmentName } from '../../src/domain/wal.ts';

/** Base backups and archives that tests change a member or two of. */

export const system = '7412345678901234567';
export const segmentBytes = 16 * 1024 * 1024;

export interface BaseWish {
  readonly id: string;
  /** The segment in which it begins and ends. */
  readonly segment: number;
  readonly at: string;
  readonly timeline?: number;
  readonly parent?: string;
  readonly includesWal?: boolean;
  readonly segments?: number;
  readonly verification?: BaseBackup['verification'];
  readonly drill?: BaseBackup['drill'];
  readonly systemIdentifier?: string;
  readonly policy?: string;
  readonly more?: Partial<BaseManifest>;
}

/** A backup that begins 0x28 into its segment and ends 0x158 into its last. */
export function base(wish: BaseWish): BaseBackup {
  const { id, segment, at, timeline = 1, parent, systemIdentifier = system } = wish;
  const directory = `infra/physical/${systemIdentifier}/${id}`;
  const object = (name: string, bytes: number) => ({ key: `${directory}/${name}`, bytes, sha256: 'a'.repeat(64) });
  const archive = object('base.tar.zst', 200_000_000);
  const backupManifest = object('backup_manifest.zst', 100_000);
  const place = (number: number, offset: number) => formatLsn(BigInt(number) * BigInt(segmentBytes) + BigInt(offset));
  const manifest: BaseManifest = {
    version: 1,
    id,
    installation: 'homelab',
    cluster: 'infra',
    policy: wish.policy ?? 'infra-base',
    method: 'base',
    status: 'complete',
    startedAt: at,
    finishedAt: at,
    run: { workflowId: 'backup/infra-base', firstExecutionRunId: 'c0ffee' },
    server: {
      version: '17.6',
      versionNum: 170_006,
      systemIdentifier,
      inRecovery: false,
      segmentBytes,
      dataChecksums: true,
    },
    type: parent === undefined ? 'full' : 'incremental',
    parent: parent ?? null,
    startLsn: place(segment, 0x28),
    startTimeline: timeline,
    stopLsn: place(segment + (wish.segments ?? 1) - 1, 0x158),
    stopTimeline: timeline,
    serverStartedAt: new Date(Date.parse(at) - 5000).toISOString(),
    serverFinishedAt: at,
    includesWal: wish.includesWal ?? false,
    archives: [{ ...archive, tablespace: null, compression: 'zstd', plainBytes: 900_000_000 }],
    backupManifest: { ...backupManifest, compression: 'zstd' },
    configuration: null,
    settings: { max_connections: '100', archive_mode: 'on', archive_command: 'cp %p /archive/%f', port: '5432' },
    objects: [archive, backupManifest],
    databases: [
      {
        name: 'app',
        oid: 16_384,
        bytes: 850_000_000,
        encoding: 'UTF8',
        collate: 'en_US.UTF-8',
        localeProvider: 'libc',
        collationVersion: '2.36',
      },
    ],
    extensions: [],
    tablespaces: [],
    tools: { postgresql: '17.6' },
    warnings: [],
    signature: null,
    ...wish.more,
  };
  baseManifestSchema.parse(manifest);
  return {
    manifest,
    manifestKey: baseManifestKey('infra', systemIdentifier, id),
    verification: wish.verification ?? 'none',
    drill: wish.drill ?? 'none',
  };
}

/** Each text is a timeline and runs of its segments: "1:2-9,11-20". */
export function archive(
  runs: readonly string[],
  histories: Readonly<Record<number, TimelineHistory>> = {},
  systemIdentifier = system,
): WalArchive {
  const keys = runs.flatMap((text) => {
    const [timeline = '1', list = ''] = text.split(':');
    return list.split(',').flatMap((run) => {
      const [first = 0, last = first] = run.split('-').map(Number);
      return Array.from(
        { length: last - first + 1 },
        (_, index) => `${segmentName(Number(timeline), BigInt(first + index), segmentBytes)}.zst`,
      );
    });
  });
  return buildArchive({
    systemIdentifier,
    segmentBytes,
    keys,
    histories: new Map(Object.entries(histories).map(([timeline, history]) => [Number(timeline), history])),
  });
}

/** A timeline left somewhere in a segment. */
export const left = (timeline: number, segment: number, offset = 0x8000) => ({
  timeline,
  switchLsn: BigInt(segment) * BigInt(segmentBytes) + BigInt(offset),
});

/** Times as "1:9" (timeline, segment) to server time. */
export function archived(walArchive: WalArchive, times: Readonly<Record<string, string>> = {}): Archived {
  return {
    archive: walArchive,
    times: new Map(
      Object.entries(times).map(([place, time]) => {
        const [timeline = 1, number = 0] = place.split(':').map(Number);
        return [segmentName(timeline, BigInt(number), walArchive.segmentBytes), time];
      }),
    ),
  };
}

export const recoverArgument = (target: unknown, more: object = {}): RecoverArgument =>
  parseRecoverArgument({ cluster: 'infra', target, ...more });

/** Two bases on one timeline, WAL from the first on for a day. */
export function planFacts(more: Partial<RecoveryPlanFacts> = {}): RecoveryPlanFacts {
  return {
    argument: recoverArgument('latest'),
    bases: [
      base({ id: 'infra-base-20261120-020000', segment: 3, at: '2026-11-20T02:00:05.000Z' }),
      base({ id: 'infra-base-20261121-020000', segment: 9, at: '2026-11-21T02:00:05.000Z' }),
    ],
    archives: [archived(archive(['1:2-14']), { '1:8': '2026-11-20T20:00:00Z', '1:14': '2026-11-21T12:00:00Z' })],
    now: new Date('2026-11-21T12:04:00Z'),
    run: 'a1b2c3d4',
    repository: 'nas',
    live: {
      address: 'db.example.internal:5432',
      systemIdentifier: system,
      timeline: 1,
      lsn: formatLsn(parseLsn('0/F000100')),
      dataDirectory: '/var/lib/postgresql/17/main',
      tablespaces: [],
    },
    majors: [15, 17],
    place: { directory: '/srv/recovered/infra-a1b2c3d4', state: 'absent', freeBytes: 50_000_000_000 },
    port: { number: 55_432, free: true },
    tablespaces: {},
    collationVersions: { 'libc en_US.UTF-8': '2.36' },
    bytesPerSecond: 100_000_000,
    ...more,
  };
}
