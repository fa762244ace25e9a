import type { z } from 'zod';
import type { WrittenTarget } from '../client/runs.ts';
import { HoldfastError } from '../domain/errors.ts';
import { recoveryTargetSchema, targetAsWritten, type RecoveryTarget } from '../domain/recovery-target.ts';
import { checkedArgument } from './checked-argument.ts';
import { targetKinds, type TargetOptions } from './target-options.ts';

/** How each member of a target is typed. */
export const targetNames: Readonly<Record<string, string>> = {
  ...Object.fromEntries(targetKinds.map((kind) => [kind, `--${kind}`])),
  timeline: '--timeline',
  inclusive: '--exclusive',
};

/** Throws InvalidArgument that names the option. */
export function targetOf(options: TargetOptions): WrittenTarget {
  const { timeline, exclusive, ...rest } = options;
  const given = targetKinds.flatMap((kind) => (rest[kind] === undefined ? [] : [[kind, rest[kind]] as const]));
  const names = targetKinds.map((kind) => `--${kind}`).join(', ');
  if (given.length !== 1)
    throw new HoldfastError(
      'InvalidArgument',
      `a recovery stops at exactly one of ${names}: ${given.length === 0 ? 'none is' : 'several are'} given`,
      "'holdfast window' shows from when to when a cluster can be recovered",
    );
  if (exclusive && !given.some(([kind]) => kind === 'time' || kind === 'lsn' || kind === 'xid'))
    throw new HoldfastError(
      'InvalidArgument',
      `--exclusive goes with --time, --lsn or --xid, not with --${given[0]?.[0] ?? ''}`,
      'leave it out',
    );
  const value = {
    ...Object.fromEntries(given),
    ...(timeline === undefined ? {} : { timeline }),
    ...(exclusive ? { inclusive: false } : {}),
  };
  return targetAsWritten(checkedArgument(recoveryTargetSchema as z.ZodType<RecoveryTarget>, value, targetNames));
}
