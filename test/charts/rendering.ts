import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { findChartProgram } from '../../scripts/setup/chart-programs.mjs';

export const top = join(import.meta.dirname, '../..');
export const chart = join(top, 'charts/holdfast');

/** As much of a Kubernetes object as tests look at. */
export interface Rendered {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
  readonly data?: Readonly<Record<string, string>>;
  readonly rules?: readonly {
    readonly resources: readonly string[];
    readonly resourceNames?: readonly string[];
    readonly verbs: readonly string[];
  }[];
  readonly spec?: {
    readonly template: {
      readonly spec: {
        readonly terminationGracePeriodSeconds: number;
        readonly automountServiceAccountToken: boolean;
        readonly containers: readonly [{ readonly args: readonly string[] }];
      };
    };
  };
}

export const valuesFile = (name: string) => join(import.meta.dirname, 'values', `${name}.yaml`);

export const helm = (...args: readonly string[]) => execFileSync(findChartProgram('helm'), args, { encoding: 'utf8' });

const templateArgs = (...args: readonly string[]) => ['template', 'holdfast', chart, '--namespace', 'backups', ...args];

export const template = (...args: readonly string[]) => helm(...templateArgs(...args));

/** What Helm says where it refuses; '' where it doesn't. */
export function refusal(...args: readonly string[]): string {
  const { status, stderr } = spawnSync(findChartProgram('helm'), templateArgs(...args), { encoding: 'utf8' });
  return status === 0 ? '' : stderr;
}

/** What `kubectl apply -k` would apply. */
export const kustomize = (directory: string) =>
  execFileSync(findChartProgram('kustomize'), ['build', join(top, 'deploy/kustomize', directory)], {
    encoding: 'utf8',
  });

export const objectsIn = (text: string): readonly Rendered[] =>
  parseAllDocuments(text).flatMap((document) => (document.toJS() as Rendered | null) ?? []);
