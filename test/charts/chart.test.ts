import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { freePort } from '../../parts/free-port.ts';
import { parseConfiguration } from '../../src/cli/configuration.ts';
import { drillClusterName } from '../../src/domain/cnpg-drill-spec.ts';
import { expectGolden } from '../golden.ts';
import { chart, helm, objectsIn, refusal, template, top, valuesFile, type Rendered } from './rendering.ts';

const read = (file: string) => readFileSync(join(top, file), 'utf8');
const of = (kind: string, objects: readonly Rendered[]) => objects.filter((object) => object.kind === kind);
const render = (name: string) => objectsIn(template('--values', valuesFile(name)));
const podOf = (deployment: Rendered | undefined) => {
  if (deployment?.spec === undefined) throw new Error('there is no Deployment');
  return deployment.spec.template.spec;
};

describe.each(['plain', 'clusters', 'kept'])('the chart with the values of %s', (name) => {
  test('renders what is written here', () => {
    expectGolden(import.meta.url, `${name}.yaml`, template('--values', valuesFile(name)));
  });

  test('passes helm lint', () => {
    expect(helm('lint', '--strict', chart, '--values', valuesFile(name))).toContain('0 chart(s) failed');
  });

  test('grants reading by name, what backups and drills make, but no command in a pod and no watch, which could be cut', () => {
    const workers = of('Role', render(name)).filter(({ metadata }) => !metadata.name.endsWith('-apply'));
    const rules = workers.flatMap((role) => role.rules ?? []);
    const given = parse(read(`test/charts/values/${name}.yaml`)) as { rbac?: { rules: Record<string, unknown[]> } };
    const asked = Object.values(given.rbac?.rules ?? {}).flat();
    const own = rules.filter((rule) => !asked.some((each) => isDeepStrictEqual(each, rule)));
    for (const { resources, resourceNames = [], verbs } of own) {
      const [resource = ''] = resources;
      expect([
        ...['secrets', 'statefulsets', 'clusters', 'backups', 'objectstores', 'volumesnapshots'],
        // The chart's values say which clusters are drilled.
        ...(name === 'clusters' ? ['pods'] : []),
      ]).toContain(resource);
      if (resource === 'pods') expect(verbs).toEqual(['create', 'delete', 'get', 'list']);
      if (['secrets', 'statefulsets', 'clusters'].includes(resource)) {
        expect(verbs).toEqual(['get']);
        expect(resourceNames.length).toBeGreaterThan(0);
      }
    }
    expect(JSON.stringify(rules)).not.toMatch(/"\*"|pods\/|"watch"/);
    expect(of('ClusterRole', render(name))).toEqual([]);
  });

  test('gives a pod more time than its worker takes to stop', () => {
    const [, cleanUpMs = ''] = /const cleanUpMs = ([\d_]+);/.exec(read('src/worker/run.ts')) ?? [];
    const cleanUp = Number(cleanUpMs.replaceAll('_', '')) / 1000;
    expect(cleanUp).toBeGreaterThan(0);
    for (const deployment of of('Deployment', render(name))) {
      const { containers, terminationGracePeriodSeconds } = podOf(deployment);
      const [, grace = ''] = /--grace=(\d+)s/.exec(containers[0].args.join(' ')) ?? [];
      expect(terminationGracePeriodSeconds).toBeGreaterThanOrEqual(Number(grace) + cleanUp + 5);
    }
  });
});

/** Backup objects are Holdfast's own: it marks them before it deletes their snapshots. */
const isOwn = (resources: readonly string[]) => resources.includes('backups');

/** Of the workers of a configuration with one StatefulSet, and what is set besides. */
function rightsWith(members: string): readonly string[] {
  const objects = objectsIn(
    template(
      ...['--set', 'temporal.address=t:7233,config.installation=x'],
      ...['--set', 'config.clusters.infra.statefulset.namespace=infra,config.clusters.infra.statefulset.name=postgres'],
      ...['--set', 'config.clusters.infra.statefulset.secret=postgres-admin'],
      ...(members === '' ? [] : ['--set', members]),
    ),
  );
  return of('Role', objects)
    .flatMap(({ metadata: { namespace = '' }, rules = [] }) =>
      rules.map(({ resources, verbs, resourceNames = [] }) =>
        `${namespace} ${resources.join()} ${verbs.join()} ${resourceNames.join()}`.trim(),
      ),
    )
    .sort();
}

describe('the chart', () => {
  test('has the version of what it installs', () => {
    const { version } = JSON.parse(read('package.json')) as { version: string };
    expect(parse(read('charts/holdfast/Chart.yaml'))).toMatchObject({ appVersion: version });
  });

  test('writes a configuration that this version takes, number by number', () => {
    const [map] = of('ConfigMap', render('clusters'));
    const config = parseConfiguration(map?.data?.['holdfast.yaml'] ?? '', 'holdfast.yaml');
    expect(config.repositories['ovh']?.s3?.partSize).toBe(64 * 1024 * 1024);
  });

  test('takes a whole file as it is, and the rights from it', () => {
    const file = join(top, 'examples/jigga/holdfast.yaml');
    const objects = objectsIn(template('--set', 'temporal.address=temporal:7233', '--set-file', `config=${file}`));
    expect(of('ConfigMap', objects)[0]?.data?.['holdfast.yaml']).toBe(readFileSync(file, 'utf8'));
    expect(of('Role', objects).map(({ metadata }) => metadata.namespace)).toEqual(['postgres']);
  });

  test('lets workers that only ask CloudNativePG for backups read no password', () => {
    const policy = 'config.policies.jigga-daily';
    const set = ['--set', `${policy}.method=cnpg,${policy}.drill=null`];
    const objects = objectsIn(template('--values', valuesFile('clusters'), ...set));
    const secretsIn = (namespace: string) =>
      of('Role', objects)
        .filter(({ metadata }) => metadata.namespace === namespace)
        .flatMap(({ rules = [] }) => rules.filter(({ resources }) => resources.includes('secrets')))
        .flatMap(({ resourceNames }) => resourceNames);
    // One names a superuser's Secret, one has a policy that dumps.
    expect(secretsIn('postgres')).toEqual(['postgres-superuser']);
    expect(secretsIn('production')).toEqual(['reports-superuser']);
  });

  test('grants what a drill by CloudNativePG takes, on a Cluster of its own name alone', () => {
    const source = `logto-${'long-'.repeat(7)}postgres-xy`;
    const set = `config.clusters.logto.cnpg.name=${source},config.policies.logto-daily.drill=0 6 * * 0`;
    const copy = drillClusterName(source);
    const rules = of('Role', objectsIn(template('--values', valuesFile('clusters'), '--set', set)))
      .filter(({ metadata }) => metadata.namespace === 'production' && !metadata.name.endsWith('-apply'))
      .flatMap(({ rules: own = [] }) => own);
    const to = (wanted: string) => rules.filter(({ resources }) => resources.includes(wanted));
    expect(to('clusters').map(({ verbs, resourceNames }) => [verbs.join(), resourceNames])).toEqual(
      expect.arrayContaining([
        ['create', undefined],
        ['delete,get', [copy]],
        ['get', expect.not.arrayContaining([copy])],
      ]),
    );
    expect(to('secrets')[0]?.resourceNames).toEqual(expect.arrayContaining([`${copy}-app`, `${copy}-superuser`]));
    for (const [resource, verb] of [
      ['events', 'list'],
      ['persistentvolumeclaims', 'list'],
      ['pods', 'list'],
      ['pods/log', 'get'],
    ] as const)
      expect(to(resource).map(({ verbs }) => verbs.join())).toContain(verb);
  });

  test('lets only what follows an installation write to CloudNativePG’s objects, and only where a window asks for it', () => {
    const mayPatch = of('Role', render('clusters'))
      .filter(({ rules = [] }) => rules.some(({ resources, verbs }) => verbs.includes('patch') && !isOwn(resources)))
      .map(({ metadata }) => [metadata.namespace, metadata.name]);
    expect(mayPatch).toEqual([['production', 'backups-holdfast-apply']]);
    const names = of('ServiceAccount', render('plain')).map(({ metadata }) => metadata.name);
    expect(names).toEqual(['holdfast-main']);
  });

  test('grants what a recovery in the place of a StatefulSet takes where the configuration allows it', () => {
    const reading = ['infra secrets get postgres-admin', 'infra statefulsets get postgres'];
    const inPlace = 'config.clusters.infra.statefulset.inPlace.dataDirectory=/data';
    const more = [
      'infra events list',
      'infra jobs create,delete,get,list',
      'infra persistentvolumeclaims get',
      'infra pods list',
      'infra secrets get postgres-admin',
      'infra statefulsets get,patch postgres',
    ];
    expect(rightsWith('')).toEqual(reading);
    expect(rightsWith(inPlace)).toEqual(['backups pods get', ...more]);
    expect(rightsWith(`${inPlace},config.kubernetes.workerPod.image=holdfast:1`)).toEqual(more);
  });

  test('gives what a pod that dumps takes to the clusters that are dumped so only', () => {
    const dumped = rightsWith('config.clusters.infra.backup.on=pod');
    expect(rightsWith('config.clusters.infra.backup.on=worker')).not.toContain('infra jobs create,delete,get,list');
    expect(dumped).toEqual(
      expect.arrayContaining([
        'backups pods get',
        'infra events list',
        'infra jobs create,delete,get,list',
        'infra pods list',
      ]),
    );
    expect(dumped).toContain('infra statefulsets get postgres');
  });

  test('gives a pod that asks Kubernetes nothing no token for it', () => {
    expect(podOf(of('Deployment', render('plain'))[0]).automountServiceAccountToken).toBe(false);
    expect(podOf(of('Deployment', render('clusters'))[0]).automountServiceAccountToken).toBe(true);
  });

  test('lets a site say no and nought where all others say yes', () => {
    const set = 'worker.temporalMetrics=true,sites.main.temporalMetrics=false,sites.main.replicas=0';
    const [deployment] = of('Deployment', objectsIn(template('--values', valuesFile('plain'), '--set', set)));
    expect(podOf(deployment).containers[0].args.join(' ')).not.toContain('--metrics');
    expect(deployment?.spec).toMatchObject({ replicas: 0 });
  });

  test.each([
    ['nothing at all', ['--set', 'temporal.address=t:7233'], 'config is empty'],
    ['no address of Temporal', ['plain', '--set', 'temporal.address='], 'temporal.address is missing'],
    ['an address without a port', ['plain', '--set', 'temporal.address=t'], "'/temporal/address'"],
    ['a member that nobody knows', ['plain', '--set', 'worker.replica=2'], "'replica' not allowed"],
    ['a time where seconds belong', ['plain', '--set', 'worker.graceSeconds=30s'], 'got string, want integer'],
    ['no site', ['plain', '--set', 'sites=null'], 'sites'],
    ['a site that can be no name', ['plain', '--set', 'sites.Tokyo.slots=1'], 'Tokyo'],
    [
      'a directory in two places',
      ['plain', '--set', 'directories.nas.claim=x'],
      'directories.nas must have exactly one',
    ],
    [
      'two workers on one claim',
      ['kept', '--set', 'sites.main.replicas=2'],
      'site main keeps its instances on a claim',
    ],
    ['two configurations', ['plain', '--set', 'configMap=x'], 'config and configMap are both given'],
    ['half a configuration', ['plain', '--set', 'config.clusters=null'], 'config.clusters is missing'],
    ['a configuration that is no YAML', ['plain', '--set-string', 'config=a: [b'], 'config is not YAML'],
    [
      'a cluster without a namespace',
      ['plain', '--set', 'config.clusters.main.statefulset.name=x'],
      'config.clusters.main.statefulset.namespace is missing',
    ],
    [
      'certificates from nowhere',
      ['plain', '--set', 'temporal.tls.enabled=true,temporal.tls.serverCa=true'],
      'temporal.tls.secret is missing',
    ],
    ['a site named as the Job is', ['plain', '--set', 'sites.apply.slots=1'], "a site can't be named apply"],
    ['no account', ['plain', '--set', 'serviceAccount.create=false'], 'serviceAccount.name is missing'],
  ])('refuses %s, and says what is wrong', (_, args, message) => {
    const [first = '', ...rest] = args;
    const given = first.startsWith('--') ? args : ['--values', valuesFile(first), ...rest];
    expect(refusal(...given)).toContain(message);
  });
});

describe('what a pod runs', () => {
  let directory: string;
  beforeAll(() => {
    directory = mkdtempSync(join(tmpdir(), 'holdfast-chart-'));
  });
  afterAll(() => {
    rmSync(directory, { recursive: true });
  });

  test.each(['plain', 'clusters'])(
    'is a command line that this version takes, and only Temporal is missing: %s',
    async (name) => {
      const objects = render(name);
      const config = join(directory, 'holdfast.yaml');
      writeFileSync(config, of('ConfigMap', objects)[0]?.data?.['holdfast.yaml'] ?? '');
      const ports = [await freePort(), await freePort()].map((port) => `127.0.0.1:${String(port)}`);
      const deployment = of('Deployment', objects).at(-1);
      const args = podOf(deployment).containers[0].args.map((word) =>
        word
          .replace('0.0.0.0:8080', ports[0] ?? '')
          .replace('0.0.0.0:9464', ports[1] ?? '')
          .replace(/=\/(scratch|instances)$/, `=${directory}`),
      );
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', join(top, 'src/cli/main.ts'), ...args, '--config', config],
        {
          env: { TEMPORAL_ADDRESS: '127.0.0.1:1', PATH: process.env['PATH'], HOME: directory },
          stdio: ['ignore', 'ignore', 'pipe'],
        },
      );
      let said = '';
      child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number | null];
      expect([code, said]).toEqual([5, expect.stringContaining('no Temporal server answers at 127.0.0.1:1')]);
    },
  );
});
