import { walSegmentKey, type Archived, type WalArchive } from '../../domain/wal-archive.ts';
import { segmentName } from '../../domain/wal.ts';
import { HoldfastError } from '../../domain/errors.ts';
import type { Repository } from '../repository.ts';
import { listArchive, listSystemIdentifiers } from './list.ts';
import { readTrailer } from './read.ts';

/**
 * Every log of a cluster that lies in a repository, with the server's time at the end of each run of segments. A last
 * segment that doesn't tell its time (adopted from elsewhere, damaged) has null. Fails as listArchive does.
 */
export async function readArchived(
  repository: Repository,
  cluster: string,
  signal: AbortSignal,
): Promise<readonly Archived[]> {
  const found: Archived[] = [];
  for (const systemIdentifier of await listSystemIdentifiers(repository, cluster)) {
    const archive = await listArchive(repository, cluster, systemIdentifier, signal);
    found.push({ archive, times: await endsOfRuns(repository, cluster, archive, signal) });
  }
  return found;
}

async function endsOfRuns(
  repository: Repository,
  cluster: string,
  { systemIdentifier, segmentBytes, segments }: WalArchive,
  signal: AbortSignal,
): Promise<ReadonlyMap<string, string | null>> {
  const times = new Map<string, string | null>();
  for (const [timeline, runs] of segments)
    for (const { last } of runs) {
      const segment = segmentName(timeline, last, segmentBytes);
      times.set(segment, await endOf(repository, { cluster, systemIdentifier, timeline, segment }, signal));
    }
  return times;
}

/** Which segment of which log. */
export interface SegmentPlace {
  readonly cluster: string;
  readonly systemIdentifier: string;
  readonly timeline: number;
  readonly segment: string;
}

/** When a stored segment ended, by the server's clock, as ISO; null where nobody knows, or it isn't there. */
async function endOf(repository: Repository, place: SegmentPlace, signal: AbortSignal): Promise<string | null> {
  const found = await findSegment(repository, place);
  if (found === undefined) return null;
  try {
    return (await readTrailer({ repository, signal }, found.key, found.bytes)).trailer.endedAt;
  } catch (error) {
    if (error instanceof HoldfastError && error.type === 'ObjectDamaged') return null;
    throw error;
  }
}

/** Whether a segment lies there by its name. */
export const isArchived = async (repository: Repository, place: SegmentPlace) =>
  (await findSegment(repository, place)) !== undefined;

/** The object that holds a segment, whatever compressed it; undefined: none. */
export async function findSegment(
  repository: Repository,
  { cluster, systemIdentifier, timeline, segment }: SegmentPlace,
) {
  for (const ending of ['zst', 'gz'] as const) {
    const key = walSegmentKey(cluster, systemIdentifier, timeline, segment, ending);
    const bytes = await repository.size(key);
    if (bytes !== undefined) return { key, bytes };
  }
  return undefined;
}
