import { microsOf, type TargetPlace } from '../../domain/recovery-target.ts';
import type { Settings } from '../instance/settings.ts';

/** How often a standby asks again for what wasn't there: the archive's end is known after two askings. */
const askAgainMs = 500;

/**
 * Settings of a recovery. A target is paused at: nobody promotes but a person. The end of the archive is none that
 * PostgreSQL could pause at (it would promote), so to reach it a standby is started, which waits there by nature.
 *
 * @param asStandby replays to the end of the archive whatever the target
 */
export function recoverySettings(
  target: TargetPlace,
  { timeline, restoreCommand, asStandby }: { timeline: number; restoreCommand: string; asStandby: boolean },
): Settings {
  return {
    restore_command: restoreCommand,
    recovery_target_timeline: String(timeline),
    recovery_target_action: 'pause',
    wal_retrieve_retry_interval: `${String(askAgainMs)}ms`,
    // Who looks at the copy must not be thrown out by what is replayed meanwhile, nor hold that up for ever.
    max_standby_archive_delay: '30s',
    hot_standby_feedback: 'off',
    recovery_min_apply_delay: '0',
    ...(asStandby ? {} : placeSettings(target)),
  };
}

function placeSettings(target: TargetPlace): Settings {
  const inclusive = (isInclusive: boolean) => ({ recovery_target_inclusive: isInclusive ? 'on' : 'off' });
  switch (target.kind) {
    case 'latest':
      return {};
    case 'immediate':
      return { recovery_target: 'immediate' };
    case 'time':
      return { recovery_target_time: settingTime(target.at), ...inclusive(target.inclusive) };
    case 'lsn':
      return { recovery_target_lsn: target.lsn, ...inclusive(target.inclusive) };
    case 'xid':
      return { recovery_target_xid: target.xid, ...inclusive(target.inclusive) };
    case 'name':
      return { recovery_target_name: target.name };
  }
}

/**
 * In UTC with a numeric offset. Without one the copy's own time zone would count; a 'Z' is refused: when the server
 * reads its configuration the abbreviations of time zones aren't loaded yet.
 */
function settingTime(at: string): string {
  const micros = microsOf(at);
  const fraction = String(((micros % 1_000_000n) + 1_000_000n) % 1_000_000n).padStart(6, '0');
  const seconds = Number((micros - BigInt(fraction)) / 1_000_000n);
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19).replace('T', ' ')}.${fraction}+00:00`;
}

export const isStandby = (target: TargetPlace) => target.kind === 'latest';
