import { formatSeconds } from '../domain/format.ts';
import type { RecoveryWindows, SystemWindows } from '../domain/recovery-window.ts';
import { parseLsn } from '../domain/wal.ts';

/** What is known of a cluster besides its windows. */
export interface WindowSetting {
  /** The configuration archives its WAL. */
  readonly archives: boolean;
  /** A policy of method base, if there is one. */
  readonly basePolicy: string | undefined;
  /** A log lies there that can't be read. */
  readonly damaged: boolean;
  readonly now: Date;
}

/** Older than this the newest recoverable moment is worth a word: segments are closed every five minutes by default. */
const staleMs = 30 * 60_000;

/** What a person should do about a window, a sentence each; empty: nothing. */
export function windowAdvice({ cluster, systems }: RecoveryWindows, setting: WindowSetting): string[] {
  const [newest] = systems;
  return [
    ...(setting.archives
      ? []
      : [
          `no WAL of cluster ${cluster} is archived, so it can be recovered to the ends of its base backups only; add wal: { repository: … } to clusters.${cluster}, then 'holdfast apply'`,
        ]),
    ...(needsBase(newest) ? [takeBase(cluster, newest, setting)] : []),
    ...stale(cluster, newest, setting),
  ];
}

/** Nothing can be recovered, or nothing of the newest stretch of WAL. */
function needsBase(newest: SystemWindows | undefined): boolean {
  const last = newest?.windows.at(-1);
  if (newest === undefined || last === undefined) return true;
  return newest.unreachable.some(({ to }) => parseLsn(to) > parseLsn(last.to.lsn));
}

function takeBase(cluster: string, newest: SystemWindows | undefined, { basePolicy, damaged }: WindowSetting): string {
  const why = damaged
    ? "what can be recovered isn't known, because the WAL archive can't be read; put that right first"
    : newest === undefined || newest.windows.length === 0
      ? `cluster ${cluster} can't be recovered`
      : `recovery of cluster ${cluster} doesn't reach the newest WAL`;
  return basePolicy === undefined
    ? `${why}; add a policy with method: base for it, and start it with 'holdfast backup POLICY'`
    : `${why}; a new base backup opens a window: 'holdfast backup ${basePolicy}'`;
}

function stale(cluster: string, newest: SystemWindows | undefined, { archives, now }: WindowSetting): string[] {
  const last = newest?.windows.at(-1);
  if (!archives || last === undefined || last.alone || needsBase(newest) || last.to.time === null) return [];
  const ageMs = now.getTime() - Date.parse(last.to.time);
  return ageMs < staleMs
    ? []
    : [
        `the newest moment that cluster ${cluster} can be recovered to is ${formatSeconds(ageMs / 1000)} old: either nothing was written since, or the WAL archive is behind; 'holdfast status' shows how far it is`,
      ];
}
