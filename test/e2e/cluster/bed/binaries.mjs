/** The bed's programs, built from published Go modules into the cache. What is there in the wanted version stays. */
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findGo } from '../../../../scripts/setup/places.mjs';
import { say, step } from '../../../../scripts/setup/progress.mjs';
import { run, Unavailable } from '../../../../scripts/setup/run.mjs';
import { places } from './places.mjs';
import {
  BARMAN_PLUGIN,
  CLOUDNATIVE_PG,
  COREDNS,
  ETCD,
  KUBERNETES,
  KUBERNETES_STAGING,
  LOCAL_PATH_PROVISIONER,
} from './versions.mjs';

export const MODULES = {
  kubernetes: { path: 'k8s.io/kubernetes', version: KUBERNETES },
  etcd: { path: 'go.etcd.io/etcd/server/v3', version: ETCD },
  coredns: { path: 'github.com/coredns/coredns', version: COREDNS },
  localPath: { path: 'github.com/rancher/local-path-provisioner', version: LOCAL_PATH_PROVISIONER },
  cnpg: { path: 'github.com/cloudnative-pg/cloudnative-pg', version: CLOUDNATIVE_PG },
  barman: { path: 'github.com/cloudnative-pg/plugin-barman-cloud', version: BARMAN_PLUGIN },
};

/** With only the plugins that the bed uses: the stock program carries the SDKs of every cloud. */
const COREDNS_PLUGINS = ['bind', 'errors', 'cache', 'kubernetes'];
const COREDNS_MAIN = `package main

import (
	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
${COREDNS_PLUGINS.map((name) => `	_ "github.com/coredns/coredns/plugin/${name}"`).join('\n')}
)

func main() {
	dnsserver.Directives = []string{${COREDNS_PLUGINS.map((name) => `"${name}"`).join(', ')}}
	coremain.Run()
}
`;

/** The first process of the bed's own process namespace, and of every pod: it waits, and buries what is left to it. */
const PAUSE_MAIN = `package main

import (
	"os"
	"os/signal"
	"syscall"
)

func main() {
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGCHLD)
	for s := range signals {
		if s != syscall.SIGCHLD {
			os.Exit(0)
		}
		for {
			if pid, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); pid <= 0 || err != nil {
				break
			}
		}
	}
}
`;

const kubernetes = (name) => ({
  name,
  module: MODULES.kubernetes,
  goPackage: `k8s.io/kubernetes/cmd/${name}`,
  flags: kubernetesStamps(),
});

/** What takes longest first. */
const BINARIES = [
  ...['kubelet', 'kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kube-proxy', 'kubectl'].map(
    kubernetes,
  ),
  { name: 'etcd', module: MODULES.etcd, goPackage: MODULES.etcd.path },
  { name: 'cnpg-manager', module: MODULES.cnpg, goPackage: `${MODULES.cnpg.path}/cmd/manager` },
  { name: 'barman-plugin', module: MODULES.barman, goPackage: `${MODULES.barman.path}/cmd/manager` },
  { name: 'coredns', module: MODULES.coredns, goPackage: '.', main: COREDNS_MAIN },
  { name: 'local-path-provisioner', module: MODULES.localPath, goPackage: MODULES.localPath.path },
  { name: 'pause', goPackage: '.', main: PAUSE_MAIN },
];

export const binary = (name) => join(places.bin, name);

/** The programs that aren't there, or were built from something else than what is wanted now. */
export function binariesMissing() {
  return BINARIES.filter((each) => !existsSync(binary(each.name)) || read(stampOf(each)) !== recipeOf(each));
}

/** Builds them one after the other (each keeps all cores busy). A whole program is put into place, or none. */
export async function installBinaries(missing) {
  const go = findGo();
  if (go === undefined) {
    throw new Unavailable(
      'missing: Go, which builds Kubernetes and CloudNativePG for the end-to-end tests.\nInstall Go 1.25 or newer, then run this again; or let HOLDFAST_E2E_KUBECONFIG name a cluster of yours (docs/contributing.md)',
    );
  }
  if (missing.length > 3)
    say('building Kubernetes and CloudNativePG from source takes about 12 minutes on 2 cores, once');
  for (const each of missing) await step(`${each.name} ${each.module?.version ?? ''}`.trim(), () => build(go, each));
}

/** The directory of a module's sources (its manifests lie there), read only. */
export async function sourcesOf({ path, version }) {
  const go = findGo();
  const said = await run(go, ['mod', 'download', '-json', `${path}@${version}`], { env: goEnvironment(), cwd: '/' });
  return JSON.parse(said).Dir;
}

async function build(go, each) {
  // A directory per module: what one program of Kubernetes needs, the next one needs, too.
  const directory = join(places.build, each.module?.path.replaceAll('/', '_') ?? each.name);
  mkdirSync(directory, { recursive: true });
  mkdirSync(places.bin, { recursive: true });
  const goMod = await goModOf(each);
  if (read(join(directory, 'go.mod.wanted')) !== goMod) {
    rmSync(join(directory, 'go.sum'), { force: true });
    writeFileSync(join(directory, 'go.mod'), goMod);
    writeFileSync(join(directory, 'go.mod.wanted'), goMod);
  }
  if (each.main !== undefined) writeFileSync(join(directory, 'main.go'), each.main);
  const part = `${binary(each.name)}.part`;
  const ldflags = ['-s', '-w', ...(each.flags ?? [])].join(' ');
  const args = ['build', '-trimpath', '-ldflags', ldflags, '-o', part, each.goPackage];
  await run(go, args, { cwd: directory, env: goEnvironment() });
  rmSync(stampOf(each), { force: true });
  renameSync(part, binary(each.name));
  writeFileSync(stampOf(each), recipeOf(each));
}

function goEnvironment() {
  return { CGO_ENABLED: '0', GOFLAGS: '-mod=mod -buildvcs=false', GOWORK: 'off' };
}

/** Kubernetes replaces its staging modules by its own folders, which a module doesn't hold: they are published, too. */
async function goModOf({ module }) {
  const head = 'module holdfast.test/bed\n\ngo 1.24.0\n';
  if (module === undefined) return head;
  const needed = `${head}\nrequire ${module.path} ${module.version}\n`;
  if (module !== MODULES.kubernetes) return needed;
  const theirs = readFileSync(join(await sourcesOf(module), 'go.mod'), 'utf8');
  const staged = [...theirs.matchAll(/^\s*(k8s\.io\/\S+) => \.\/staging\//gm)].map(([, path]) => path);
  const replaced = staged.map((path) => `replace ${path} => ${path} ${KUBERNETES_STAGING}\n`);
  return `${needed}\ngodebug default=go1.24\n\n${replaced.join('')}`;
}

/** What the version command says; CloudNativePG and the kubelet compare it, too. */
function kubernetesStamps() {
  const [major, minor] = KUBERNETES.slice(1).split('.');
  const values = {
    gitVersion: KUBERNETES,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
    gitCommit: 'module',
    buildDate: '1970-01-01T00:00:00Z',
  };
  const stamps = Object.entries(values).map(([name, value]) => `-X k8s.io/component-base/version.${name}=${value}`);
  return [...stamps, `-X k8s.io/client-go/pkg/version.gitVersion=${KUBERNETES}`];
}

const stampOf = ({ name }) => join(places.bin, `.${name}.from`);

const recipeOf = ({ module, goPackage, main, flags }) => JSON.stringify({ module, goPackage, main, flags });

function read(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : undefined;
}
