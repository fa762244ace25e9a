import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parseConfig, parseUsableConfig } from '../../src/domain/config.ts';
import { expectGolden } from '../golden.ts';
import { told } from './samples.ts';

type Members = Readonly<Record<string, unknown>>;

const policy = { cluster: 'main', method: 'pg_dumpall', repository: 'nas' };
const base = {
  installation: 'homelab',
  repositories: { nas: { directory: '/backup' } },
  clusters: { main: { server: { host: 'db' } } },
  policies: { daily: policy },
};
const logto = { cnpg: { namespace: 'production', name: 'logto' } };
const withPolicy = (more: Members) => ({ ...base, policies: { daily: { ...policy, ...more } } });
const withCluster = (cluster: unknown) => ({ ...base, clusters: { main: cluster } });
const withServer = (more: Members) => withCluster({ server: { host: 'db', ...more } });
const withRepository = (repository: unknown) => ({ ...base, repositories: { nas: repository } });
const withApproval = (restore: Members) => ({ ...base, approvals: { restore } });
const s3 = (more: Members) => withRepository({ s3: { bucket: 'backups', ...more } });
const yaml = (text: string): unknown => parse(text);
const alice = { name: 'alice', publicKey: 'key-a' };

/** Title of what is wrong, and the file's content. Each answer stands in the golden file, to be read as a user would. */
const shape: Readonly<Record<string, unknown>> = {
  'an empty file': null,
  'a list': [base],
  'a text': 'installation: homelab',
  'nothing but the braces': {},
  'an unknown member at the top': { ...base, polices: {} },
  'unknown members further down': withPolicy({ shedule: '0 2 * * *', keeep: { last: 7 } }),
  'a member named __proto__': yaml('{ installation: a, clusters: { __proto__: { server: { host: x } } } }'),
  'tools for __proto__': yaml('{ installation: a, clusters: {}, tools: { postgres: { __proto__: /usr/bin } } }'),
  'a number as text': withServer({ port: '5432' }),
  'a port that is none': withServer({ port: 70_000 }),
  'half a port': withServer({ port: 54.5 }),
  'not a number': withServer({ port: NaN }),
  'a list instead of a table': { ...base, clusters: [] },
  'a cluster that is null': withCluster(null),
  'a server without a host': withCluster({ server: {} }),
  'an empty host': withServer({ host: '' }),
  'two hosts': withServer({ host: 'one,two' }),
  'an empty user': withServer({ user: '' }),
  'an unknown sslmode': withServer({ sslmode: 'on' }),
  'a certificate by a relative path': withServer({ sslrootcert: 'root.crt' }),
  'a secret with both': withServer({ password: { env: 'A', file: '/run/secret' } }),
  'a secret with neither': withServer({ password: {} }),
  'a secret as plain text': withServer({ password: 'hunter2' }),
  'a secret in a relative file': withServer({ password: { file: 'secret' } }),
  'no kind of cluster': withCluster({ site: 'main' }),
  'two kinds of cluster': withCluster({ server: { host: 'db' }, cnpg: { namespace: 'a', name: 'b' } }),
  'a Kubernetes name with capitals': withCluster({ cnpg: { namespace: 'Production', name: 'b' } }),
  'a site that is a path': withCluster({ server: { host: 'db' }, site: '../x' }),
  'a repository of no kind': withRepository({}),
  'a repository of both kinds': withRepository({ directory: '/backup', s3: { bucket: 'backups' } }),
  'a relative directory': withRepository({ directory: 'backup' }),
  'a short bucket': s3({ bucket: 'b' }),
  'an endpoint that is no URL': s3({ endpoint: 'gra' }),
  'credentials with a member missing': s3({ credentials: { secret: 'creds', accessKeyId: 'A' } }),
  'a name with capitals': { ...base, clusters: { Main: { server: { host: 'db' } } } },
  'a name that is a path': { ...base, clusters: { '../../etc/passwd': { server: { host: 'db' } } } },
  'a name of 64 letters': { ...base, installation: 'a'.repeat(64) },
  'an unknown method': withPolicy({ method: 'pg_basebackup' }),
  'a path with ..': withPolicy({ path: 'a/../b' }),
  'an absolute path': withPolicy({ path: '/backup' }),
  'a hidden path': withPolicy({ path: '.snapshots' }),
  'a path that ends in a slash': withPolicy({ path: 'a/' }),
  'a very long path': withPolicy({ path: 'a/'.repeat(300) + 'a' }),
  'a path with a part too long for a file system': withPolicy({ path: 'a'.repeat(101) }),
  'a prefix with a slash': withPolicy({ prefix: 'a/b' }),
  'six fields of cron': withPolicy({ schedule: '0 0 2 * * *' }),
  'a nickname of cron': withPolicy({ schedule: '@daily' }),
  'hour 24': withPolicy({ schedule: '0 24 * * *' }),
  'day and weekday': withPolicy({ schedule: '0 2 1 * mon' }),
  'a time zone that is none': withPolicy({ timezone: 'Mars/Olympus' }),
  'a time zone in small letters': withPolicy({ timezone: 'asia/tokyo' }),
  'a time zone with a small letter in it': withPolicy({ timezone: 'Asia/tokyo' }),
  'an offset as time zone': withPolicy({ timezone: '+09:00' }),
  'a duration without a unit': withPolicy({ catchup: 12 }),
  'a duration in words': withPolicy({ lockTimeout: '5 minutes' }),
  'a duration of centuries': withApproval({ expiresAfter: '99999w' }),
  'keep with nothing in it': withPolicy({ keep: {} }),
  'keep none': withPolicy({ keep: { last: 0 } }),
  'a window in words': withPolicy({ method: 'base', window: 'a week' }),
  'an empty name among the excluded': withPolicy({ exclude: [''] }),
  'a gate that is none': withApproval({ gate: 'maybe' }),
  'tools of a version that is none': { ...base, tools: { postgres: { '9.6': '/usr/lib/postgresql/9.6/bin' } } },
};

const meaning: Readonly<Record<string, unknown>> = {
  'a policy of an unknown cluster': withPolicy({ cluster: 'mian' }),
  'a policy into an unknown repository': withPolicy({ repository: 'nsa' }),
  'a policy of a cluster that JavaScript knows': withPolicy({ cluster: 'constructor' }),
  'no clusters at all': { ...base, clusters: {} },
  'no repository named': withPolicy({ repository: undefined }),
  'WAL into an unknown repository': withCluster({ server: { host: 'db' }, wal: { repository: 'tape' } }),
  'two policies with the same prefix and path': {
    ...base,
    policies: {
      one: { ...policy, prefix: 'same', path: '' },
      two: { ...policy, prefix: 'same', path: '' },
      three: { ...policy, prefix: 'same', path: 'elsewhere' },
    },
  },
  'policies of two clusters with the same files': {
    ...base,
    clusters: { main: { server: { host: 'db' } }, other: { server: { host: 'db2' } } },
    policies: {
      one: { ...policy, prefix: 'same', path: 'shared' },
      two: { ...policy, cluster: 'other', prefix: 'same', path: 'shared' },
    },
  },
  'a prefix that is another policy’s name': {
    ...base,
    policies: { daily: policy, weekly: { ...policy, prefix: 'daily' } },
  },
  'the same directory twice': {
    ...base,
    repositories: { nas: { directory: '/backup' }, also: { directory: '/./backup//' } },
  },
  'a directory in another': {
    ...base,
    repositories: { nas: { directory: '/backup' }, inner: { directory: '/backup/inner' } },
  },
  'a directory around another': {
    ...base,
    repositories: { nas: { directory: '/backup/x' }, outer: { directory: '/' } },
  },
  'a directory that climbs': withRepository({ directory: '/backup/../etc' }),
  'a window for pg_dumpall': withPolicy({ window: '7d' }),
  'last for cnpg': {
    ...withCluster({ cnpg: { namespace: 'a', name: 'b' } }),
    policies: { daily: { cluster: 'main', method: 'cnpg', keep: { last: 7 } } },
  },
  'two windows for one object store': {
    ...base,
    clusters: { ...base.clusters, logto },
    policies: {
      daily: { cluster: 'logto', method: 'cnpg', window: '7d' },
      snapshots: { cluster: 'logto', method: 'cnpg', cnpg: { method: 'volumeSnapshot' }, window: '3d' },
      weekly: { cluster: 'logto', method: 'cnpg', window: '30d' },
    },
  },
  'what a kind of cluster has not': {
    ...base,
    clusters: {
      ...base.clusters,
      logto: { ...logto, wal: { repository: 'nas' } },
      infra: {
        statefulset: { namespace: 'infra', name: 'postgres', secret: 'admin' },
        instance: { dataDirectory: '/data', stop: ['stop'], start: ['start'] },
      },
    },
    policies: { daily: { cluster: 'logto', method: 'base', repository: 'nas' } },
  },
  'method cnpg for a server': { ...base, policies: { daily: { cluster: 'main', method: 'cnpg' } } },
  'method cnpg for an unknown cluster': { ...base, policies: { daily: { cluster: 'mian', method: 'cnpg' } } },
  'a plugin for a snapshot': {
    ...withCluster({ cnpg: { namespace: 'a', name: 'b' } }),
    policies: { daily: { cluster: 'main', method: 'cnpg', cnpg: { method: 'volumeSnapshot', plugin: 'barman' } } },
  },
  'CloudNativePG’s ways for pg_dumpall': withPolicy({ cnpg: { method: 'plugin' } }),
  'a pod that dumps a server': withCluster({ server: { host: 'db' }, backup: { on: 'pod' } }),
  'a pod that dumps, and a worker that streams its WAL': withCluster({
    statefulset: { namespace: 'a', name: 'b', secret: 'c' },
    backup: { on: 'pod' },
    wal: { repository: 'nas' },
  }),
  'a base backup by a pod': {
    ...withCluster({ statefulset: { namespace: 'a', name: 'b', secret: 'c' }, backup: { on: 'pod' } }),
    policies: { daily: { cluster: 'main', method: 'base', repository: 'nas' } },
  },
  'a pod that dumps into a directory that it does not have': {
    ...withCluster({ cnpg: { namespace: 'a', name: 'b' }, backup: { on: 'pod' } }),
    kubernetes: { workerPod: { image: 'holdfast:1', volumeMounts: [{ name: 'x', mountPath: '/back' }] } },
  },
  'a quorum without keys': withApproval({ quorum: 2 }),
  'a quorum with too few keys': withApproval({ quorum: 2, approvers: [alice] }),
  'an approver twice': withApproval({ quorum: 2, approvers: [alice, alice] }),
};

const answers = (cases: Members) =>
  Object.entries(cases)
    .map(([title, value]) => `# ${title}\n${told(() => parseConfig(value, 'holdfast.yaml'))}`)
    .join('\n');

describe('a configuration', () => {
  test('that is wrong in form is refused with every member’s path, what was expected and what was there', () => {
    expectGolden(import.meta.url, 'config-form.txt', answers(shape));
  });

  test('that contradicts itself is refused with what to change', () => {
    expectGolden(import.meta.url, 'config-contradictions.txt', answers(meaning));
  });

  test.each(Object.entries({ ...shape, ...meaning }))('with %s is ConfigurationInvalid', (_title, value) => {
    expect(told(() => parseConfig(value))).toMatch(/^ConfigurationInvalid: the configuration is not valid:\n/);
  });

  test('never shows a password that was written where a reference belongs', () => {
    const wrong = [
      withServer({ password: 'hunter2' }),
      withServer({ password: ['hunter2'] }),
      withServer({ password: { file: 'hunter2' } }),
      withServer({ password: { value: 'hunter2' } }),
      withServer({ host: '', pasword: 'hunter2' }),
      withCluster({ server: { password: 'hunter2' }, cnpg: {} }),
      withCluster({ server: { host: 'db', password: { env: 'hunter2', file: '/hunter2' } } }),
      withCluster('postgres://postgres:hunter2@db'),
      s3({ credentials: 'hunter2' }),
      s3({ credentials: { accessKeyId: { env: 'ID' }, secretAccessKey: 'hunter2' } }),
      s3({ credentials: { accessKeyId: 'hunter2', secretAccessKey: { value: 'hunter2' } } }),
    ];
    for (const value of wrong) expect(told(() => parseConfig(value))).toMatch(/^ConfigurationInvalid: (?!.*hunter2)/s);
  });

  test('with everything that isn’t built yet is valid, and refused for use by name', () => {
    const config = {
      ...base,
      repositories: { nas: { directory: '/backup' }, ovh: { s3: { bucket: 'backups' } } },
      clusters: {
        main: { server: { host: 'db' }, wal: { repository: 'nas' } },
        infra: { statefulset: { namespace: 'infra', name: 'postgres', secret: 'postgres-admin' } },
        logto: { cnpg: { namespace: 'production', name: 'logto' } },
      },
      policies: {
        daily: { ...policy, drill: '0 5 * * 0' },
        base: { ...policy, method: 'base', window: '7d', prefix: 'base' },
        logto: { cluster: 'logto', method: 'cnpg', cnpg: { method: 'plugin', plugin: 'barman' }, window: '30d' },
        logto2: { cluster: 'logto', method: 'cnpg' },
      },
      approvals: { restore: { quorum: 2, approvers: [alice, { name: 'bob', publicKey: 'key-b' }] } },
    };
    expect(told(() => parseConfig(config))).toBe('nothing was thrown\n');
    expectGolden(
      import.meta.url,
      'config-unbuilt.txt',
      told(() => parseUsableConfig(config)),
    );
  });

  test('that can be used comes back with every default filled in', () => {
    const config = parseUsableConfig({ ...base, repositories: { nas: { directory: '/' } } });
    expectGolden(import.meta.url, 'config-defaults.json', JSON.stringify(config, null, 2));
  });

  test.each(['UTC', 'Asia/Tokyo', 'US/Pacific', 'Europe/Kyiv', 'Etc/UTC', 'GMT'])('may keep time of %s', (timezone) => {
    expect(parseConfig(withPolicy({ timezone })).policies['daily']?.timezone).toBe(timezone);
  });

  test('with nothing but an installation and no clusters is valid', () => {
    expect(parseUsableConfig({ installation: 'a', clusters: {} }).policies).toEqual({});
  });

  test('knows a cluster named constructor if there is one', () => {
    const config = parseConfig({
      ...withPolicy({ cluster: 'constructor' }),
      clusters: { constructor: { server: { host: 'db' } } },
    });
    expect(Object.keys(config.clusters)).toEqual(['constructor']);
  });
});
