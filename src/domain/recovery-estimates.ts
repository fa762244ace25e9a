import type { BaseBackup } from './base-manifest.ts';
import type { RecoveryChoice } from './recovery-pick.ts';
import type { RecoveryPlanFacts } from './recovery-facts.ts';
import { microsOf } from './recovery-target.ts';
import { runLength } from './wal-archive.ts';
import { formatLsn, parseLsn, segmentName } from './wal.ts';

export interface RecoveryEstimates {
  /** Age of the base backup's data. */
  readonly baseAgeSeconds: number;
  /** Stored bytes of base and increments. */
  readonly baseBytes: number;
  /** Segments that replay may need, and their bytes once unpacked. */
  readonly walSegments: number;
  readonly walBytes: number;
  /** By timeline: names of the first and the last segment. */
  readonly walRuns: readonly { readonly timeline: number; readonly first: string; readonly last: string }[];
  /** Where what is archived without a hole ends, and the server's time there, if known. */
  readonly archivedLsn: string;
  readonly archivedTime: string | null;
  /** The data directory and each tablespace: what they will take, and what is free there. */
  readonly space: readonly {
    readonly what: string;
    readonly directory: string;
    readonly needBytes: number;
    readonly freeBytes: number | null;
  }[];
  readonly expectedSeconds: number | null;
  /** In place: seconds and bytes of WAL between the target and now, whose changes are put aside; null: unknown. */
  readonly lostSeconds: number | null;
  readonly lostBytes: number | null;
}

/** Segments that are unpacked ahead of replay, and what PostgreSQL keeps in pg_wal at the end. */
const spoolSegments = 64;

export function estimatesOf(facts: RecoveryPlanFacts, choice: RecoveryChoice): RecoveryEstimates {
  const { segmentBytes } = choice.track.archive;
  const { manifest } = choice.base;
  const walSegments = choice.runs.reduce((sum, run) => sum + runLength(run), 0);
  const baseBytes = choice.chain.reduce((sum, base) => sum + storedBytes(base), 0);
  const walBytes = walSegments * segmentBytes;
  return {
    baseAgeSeconds: Math.max(0, (facts.now.getTime() - Date.parse(manifest.serverFinishedAt)) / 1000),
    baseBytes,
    walSegments,
    walBytes,
    walRuns: choice.runs.map(({ timeline, first, last }) => ({
      timeline,
      first: segmentName(timeline, first, segmentBytes),
      last: segmentName(timeline, last, segmentBytes),
    })),
    archivedLsn: formatLsn(choice.end.lsn),
    archivedTime: choice.end.time,
    space: spaceOf(facts, choice),
    expectedSeconds: facts.bytesPerSecond === null ? null : (baseBytes + walBytes) / facts.bytesPerSecond,
    ...lossOf(facts, choice),
  };
}

const storedBytes = ({ manifest }: BaseBackup) => manifest.objects.reduce((sum, { bytes }) => sum + bytes, 0);

/** Increments lie beside each other until they are combined, and the result beside them. */
function spaceOf({ argument, place, tablespaces }: RecoveryPlanFacts, { chain, base, runs, track }: RecoveryChoice) {
  const { segmentBytes } = track.archive;
  const spool =
    Math.min(
      spoolSegments,
      Math.max(
        4,
        runs.reduce((sum, run) => sum + runLength(run), 0),
      ),
    ) * segmentBytes;
  const need = (tablespace: number | null) =>
    chain.reduce((sum, { manifest }) => sum + plainBytes(manifest, tablespace), 0) +
    (chain.length > 1 ? fullBytes(base.manifest, chain[0]?.manifest, tablespace) : 0);
  return [
    {
      what: 'the data directory',
      directory: place.directory,
      needBytes: need(null) + spool,
      freeBytes: place.freeBytes,
    },
    ...base.manifest.tablespaces.flatMap(({ name, oid, location }) => {
      const own =
        tablespaces[name] ?? (argument.inPlace === true ? { directory: location, freeBytes: null } : undefined);
      return own === undefined
        ? []
        : [
            {
              what: `tablespace '${name}'`,
              directory: own.directory,
              needBytes: need(oid),
              freeBytes: own.freeBytes,
            },
          ];
    }),
  ];
}

type Manifest = BaseBackup['manifest'];

/** Where the server compressed and didn't tell, the databases' own sizes are the best that is known. */
function plainBytes(manifest: Manifest, tablespace: number | null): number {
  const archives = manifest.archives.filter((archive) => archive.tablespace === tablespace);
  const databases = manifest.databases.reduce((sum, { bytes }) => sum + bytes, 0);
  return archives.reduce(
    (sum, { plainBytes: plain, bytes }) =>
      sum + (plain ?? (manifest.type === 'full' && tablespace === null ? Math.max(databases, bytes) : bytes * 4)),
    0,
  );
}

/** What the combined copy takes: at least what the full one took. */
const fullBytes = (last: Manifest, full: Manifest | undefined, tablespace: number | null) =>
  Math.max(
    full === undefined ? 0 : plainBytes(full, tablespace),
    tablespace === null && last.tablespaces.length === 0
      ? last.databases.reduce((sum, { bytes }) => sum + bytes, 0)
      : 0,
  );

function lossOf({ argument, now, live }: RecoveryPlanFacts, { target, base, end }: RecoveryChoice) {
  const nothing = { lostSeconds: null, lostBytes: null };
  if (argument.inPlace !== true) return nothing;
  const seconds = (time: string | null) =>
    time === null ? null : Math.max(0, now.getTime() - Number(microsOf(time) / 1000n)) / 1000;
  const bytes = (lsn: bigint) => {
    if (live?.systemIdentifier !== base.manifest.server.systemIdentifier) return null;
    return Math.max(0, Number(parseLsn(live.lsn) - lsn));
  };
  switch (target.kind) {
    case 'latest':
      return { lostSeconds: seconds(end.time), lostBytes: bytes(end.lsn) };
    case 'immediate':
      return {
        lostSeconds: seconds(base.manifest.serverFinishedAt),
        lostBytes: bytes(parseLsn(base.manifest.stopLsn)),
      };
    case 'time':
      return { lostSeconds: seconds(target.at), lostBytes: null };
    case 'lsn':
      return { lostSeconds: null, lostBytes: bytes(parseLsn(target.lsn)) };
    case 'xid':
    case 'name':
      return nothing;
  }
}
