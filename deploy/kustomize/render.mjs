/**
 * The manifests of the base, of the components and the rights of each overlay, made from charts/holdfast, so that there is
 * one source for both ways to install. What people write (kustomizations, configurations, patches) stays as it is.
 *
 * Usage: node deploy/kustomize/render.mjs
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { parseAllDocuments } from 'yaml';
import { findChartProgram } from '../../scripts/setup/chart-programs.mjs';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const NAMESPACE = 'holdfast';

/** What only Helm has a use for. */
const HELMS_LABELS = ['app.kubernetes.io/managed-by', 'helm.sh/chart'];

/** Every file that is made, by its path from here, with its text. */
export async function rendered() {
  const style = { ...(await resolveConfig(path('render.mjs'))), parser: 'yaml' };
  const files = Object.entries(manifests()).map(async ([file, text]) => [file, await format(text, style)]);
  return Object.fromEntries(await Promise.all(files));
}

function manifests() {
  const base = ['--values', path('base/values.yaml')];
  return {
    'base/worker.yaml': render(base, (kind) => ['Deployment', 'ServiceAccount'].includes(kind)),
    'components/monitoring/monitoring.yaml': render(
      [...base, '--set', 'podMonitor.enabled=true,prometheusRule.enabled=true'],
      (kind) => ['PodMonitor', 'PrometheusRule'].includes(kind),
      NAMESPACE,
    ),
    'components/network-policy/network-policy.yaml': render(
      [...base, '--set', 'networkPolicy.enabled=true'],
      (kind) => kind === 'NetworkPolicy',
      NAMESPACE,
    ),
    ...Object.fromEntries(
      readdirSync(path('overlays')).map((name) => [
        `overlays/${name}/rights.yaml`,
        render(
          [
            ...base,
            '--set',
            'configMap=,rbac.create=true',
            '--set-file',
            `config=${path(`overlays/${name}/holdfast.yaml`)}`,
          ],
          (kind) => ['Role', 'RoleBinding'].includes(kind),
        ),
      ]),
    ),
  };
}

/** @param namespace for objects that name none, where no kustomization does it */
function render(args, isWanted, namespace) {
  const text = execFileSync(
    findChartProgram('helm'),
    ['template', 'holdfast', path('../../charts/holdfast'), '--namespace', NAMESPACE, ...args],
    { encoding: 'utf8' },
  );
  const wanted = parseAllDocuments(text).filter((document) => isWanted(document.get('kind')));
  return wanted
    .map((document) => {
      // Which template it is from.
      document.commentBefore = null;
      document.contents.commentBefore = null;
      for (const label of HELMS_LABELS) document.deleteIn(['metadata', 'labels', label]);
      if (namespace !== undefined) document.setIn(['metadata', 'namespace'], namespace);
      return document.toString({ lineWidth: 0, directives: false });
    })
    .join('---\n');
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  for (const [file, text] of Object.entries(await rendered())) writeFileSync(join(path('.'), file), text);
