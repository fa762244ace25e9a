import { formatBytes } from '../domain/format.ts';
import type { BaseManifest } from '../domain/base-manifest.ts';
import type { LocatedBase } from './catalogs.ts';
import type { Output, Row } from './output.ts';
import { outcomeSpan } from './show-facts.ts';
import { styled } from './spans.ts';
import { formatAge, formatUtc } from './times.ts';
import { commandWord } from './type-this.ts';

/** Base backups, as they lie in each repository. */
export function showBases(output: Output, bases: readonly LocatedBase[], nowMs: number): void {
  const severalRepositories = new Set(bases.map(({ repository }) => repository)).size > 1;
  const head = ['BASE BACKUP', 'CLUSTER', 'POLICY', 'AGE', 'SIZE', 'TYPE', 'RECOVERS FROM', 'VERIFIED', 'DRILL'];
  output.table(
    severalRepositories ? [...head, 'REPOSITORY'] : head,
    bases.map(({ repository, base: { manifest, verification, drill } }): Row => [
      manifest.id,
      manifest.cluster,
      manifest.policy,
      formatAge(new Date(manifest.startedAt), nowMs),
      formatBytes(baseBytes(manifest)),
      manifest.parent === null ? 'full' : `increment of ${manifest.parent}`,
      `${formatUtc(new Date(manifest.serverFinishedAt))}${manifest.includesWal ? ', alone' : ''}`,
      outcomeSpan(verification),
      outcomeSpan(drill),
      ...(severalRepositories ? [repository] : []),
    ]),
  );
  for (const cluster of new Set(bases.map(({ base }) => base.manifest.cluster)))
    output.line(
      '  ',
      styled('cyan', `holdfast window ${commandWord(cluster)}`),
      '  from when to when it can be recovered',
    );
}

/** What it takes in the repository, without what it builds on. */
export const baseBytes = ({ objects }: BaseManifest) => objects.reduce((sum, { bytes }) => sum + bytes, 0);

export function baseDocument({ repository, base }: LocatedBase) {
  const { manifest, manifestKey, verification, drill } = base;
  const { id, cluster, policy, method, status, startedAt, finishedAt, type, parent } = manifest;
  return {
    id,
    cluster,
    policy,
    method,
    repository,
    status,
    verification,
    drill,
    startedAt,
    finishedAt,
    bytes: baseBytes(manifest),
    type,
    parent,
    recoverableFrom: manifest.serverFinishedAt,
    includesWal: manifest.includesWal,
    systemIdentifier: manifest.server.systemIdentifier,
    startLsn: manifest.startLsn,
    stopLsn: manifest.stopLsn,
    timeline: manifest.stopTimeline,
    databases: manifest.databases.map(({ name }) => ({ name })),
    manifest: manifestKey,
  };
}
