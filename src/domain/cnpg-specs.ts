import { digestOf } from './canonical.ts';
import type { CnpgConfig, Config } from './config.ts';
import { durationMs } from './duration.ts';
import { HoldfastError } from './errors.ts';
import { stamp } from './ids.ts';
import { named, targetSpec, type TargetSpec } from './specs.ts';

/** What a run of a policy of method cnpg is resolved to; see specs.ts. */
export interface CnpgSpec {
  readonly method: 'cnpg';
  readonly installation: string;
  readonly policy: string;
  readonly source: TargetSpec & { readonly cnpg: CnpgConfig };
  /** How CloudNativePG is to take it; null: the Cluster's own way. */
  readonly way: CnpgWay | null;
  /** Which instance it is taken from; null: what the Cluster says. */
  readonly target: 'primary' | 'prefer-standby' | null;
  /** Of a volume snapshot: without stopping the instance; null: what the Cluster says. */
  readonly online: boolean | null;
  readonly deadlineMs: number;
  /** CloudNativePG's own words, such as "30d"; null: nothing is deleted. */
  readonly window: string | null;
  readonly digest: string;
}

/** A Backup object's method, and the plugin that takes it. */
export type CnpgWay =
  { readonly method: 'barmanObjectStore' | 'volumeSnapshot' } | { readonly method: 'plugin'; readonly plugin: string };

export const barmanCloudPlugin = 'barman-cloud.cloudnative-pg.io';

const usualDeadline = '12h';

export function cnpgSpec(config: Config, name: string): CnpgSpec {
  const policy = named(config.policies, name, 'policy');
  const source = targetSpec(config, policy.cluster);
  if (!('cnpg' in source))
    throw new HoldfastError(
      'ConfigurationInvalid',
      `cluster ${policy.cluster} of policy ${name} is not run by CloudNativePG`,
      'use another method for it',
    );
  const { method, plugin, target, online, deadline } = policy.cnpg ?? {};
  const body = {
    method: 'cnpg' as const,
    installation: config.installation,
    policy: name,
    source,
    way:
      method === undefined ? null : method === 'plugin' ? { method, plugin: plugin ?? barmanCloudPlugin } : { method },
    target: target ?? null,
    online: online ?? null,
    deadlineMs: durationMs(deadline ?? usualDeadline),
    window: policy.window ?? null,
  };
  return { ...body, digest: digestOf(body) };
}

/** A label's value, which CloudNativePG makes of it, has 63 characters at most. */
const longestName = 63;

/** @param turn 1 for the first try of a run, 2 for the next when CloudNativePG has failed */
export function backupObjectName(policy: string, at: Date, turn: number): string {
  const ending = `-${stamp(at)}${turn === 1 ? '' : `-${String(turn)}`}`;
  return `${policy.slice(0, longestName - ending.length).replace(/-+$/, '')}${ending}`;
}
