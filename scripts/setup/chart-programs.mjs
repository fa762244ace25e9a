/**
 * Helm and kustomize in the cache, built from their published Go modules: the chart is rendered by the one, the bases and
 * overlays by the other.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory, findGo } from './places.mjs';
import { say, step } from './progress.mjs';
import { run, Unavailable } from './run.mjs';
import { inWorkshop } from './workshop.mjs';

/** What the chart is rendered for where no cluster is asked; without it Helm takes one that is years old. */
const KUBERNETES = { major: 1, minor: 34 };
const kubernetesStamps = ['chartutil', 'lint/rules'].flatMap((room) =>
  Object.entries({ Major: KUBERNETES.major, Minor: KUBERNETES.minor }).map(
    ([part, value]) => `-X helm.sh/helm/v3/pkg/${room}.k8sVersion${part}=${value}`,
  ),
);

const PROGRAMS = [
  { name: 'kustomize', module: 'sigs.k8s.io/kustomize/kustomize/v5@v5.8.1', flags: [] },
  { name: 'helm', module: 'helm.sh/helm/v3/cmd/helm@v3.19.5', flags: kubernetesStamps },
];

const directory = () => join(cacheDirectory(), 'bin');
const place = (name) => join(directory(), name);
const stamp = (name) => join(directory(), `.${name}.from`);
const recipe = ({ module, flags }) => JSON.stringify([module, flags]);

/** The programs that aren't there in the version that is wanted. */
export function chartProgramsMissing() {
  return PROGRAMS.filter(
    (each) =>
      !existsSync(place(each.name)) ||
      !existsSync(stamp(each.name)) ||
      readFileSync(stamp(each.name), 'utf8') !== recipe(each),
  );
}

/** The path of `helm` or `kustomize`; an error that says how to get it. */
export function findChartProgram(name) {
  if (chartProgramsMissing().some((each) => each.name === name))
    throw new Error(`there is no ${name} here. Type: node scripts/setup.mjs e2e`);
  return place(name);
}

/** Leaves each whole in the cache, or not at all. */
export async function installChartPrograms(missing) {
  const go = findGo();
  if (go === undefined) {
    throw new Unavailable(
      'missing: Go, which builds Helm and kustomize for the tests of the chart.\nInstall Go 1.25 or newer, then run this again',
    );
  }
  say('building Helm from source takes about three minutes, once');
  for (const each of missing) {
    const { name, module, flags } = each;
    await inWorkshop(directory(), (workshop) =>
      step(`${name}, go install ${module}`, async () => {
        const ldflags = ['-s', '-w', ...flags].join(' ');
        await run(go, ['install', '-trimpath', '-ldflags', ldflags, module], {
          env: { GOBIN: workshop, GOTMPDIR: workshop },
        });
        renameSync(join(workshop, name), place(name));
        writeFileSync(stamp(name), recipe(each));
      }),
    );
  }
}
