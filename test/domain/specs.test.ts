import { describe, expect, test } from '@jest/globals';
import { parseConfig, type Config } from '../../src/domain/config.ts';
import {
  assertSameTarget,
  backupSpec,
  clusterRepositories,
  repositoryPlace,
  repositorySpec,
  restoreSpec,
  targetSpec,
} from '../../src/domain/specs.ts';
import { restoreArgument, type RestoreArgument } from '../../src/domain/arguments.ts';
import { expectGolden } from '../golden.ts';
import { told } from './samples.ts';

const written = {
  installation: 'homelab',
  repositories: {
    nas: { directory: '/backup' },
    usb: { directory: '/mnt/usb' },
    ovh: {
      s3: {
        bucket: 'backups',
        endpoint: 'https://s3.example.net',
        prefix: 'lab',
        credentials: { secret: 'ovh-s3', accessKeyId: 'ID', secretAccessKey: 'KEY' },
      },
    },
    aws: { s3: { bucket: 'backups' } },
    minio: {
      s3: {
        bucket: 'backups',
        endpoint: 'http://minio:9000',
        pathStyle: false,
        maxParts: 1000,
        partSize: 16777216,
        credentials: { accessKeyId: { env: 'ID' }, secretAccessKey: { file: '/run/key' } },
      },
    },
  },
  clusters: {
    jigga: { server: { host: 'db', password: { env: 'SECRET' } }, site: 'cellar' },
    lab: { server: { host: 'lab' } },
    infra: { statefulset: { namespace: 'infra', name: 'postgres', secret: 'postgres-admin' } },
  },
  policies: {
    daily: {
      cluster: 'jigga',
      method: 'pg_dumpall',
      repository: 'nas',
      path: '',
      prefix: 'postgres-backup',
      keep: { last: 7 },
    },
    weekly: {
      cluster: 'jigga',
      method: 'pg_dumpall',
      repository: 'usb',
      compression: 'zstd',
      exclude: ['junk'],
      lockTimeout: '30s',
    },
    again: { cluster: 'jigga', method: 'pg_dumpall', repository: 'nas' },
    infra: { cluster: 'infra', method: 'pg_dumpall', repository: 'nas' },
    away: { cluster: 'lab', method: 'pg_dumpall', repository: 'ovh' },
    single: { cluster: 'jigga', method: 'pg_dump', repository: 'nas', format: 'directory', jobs: 4 },
    base: { cluster: 'jigga', method: 'base', repository: 'nas', prefix: 'base' },
  },
};
const config = parseConfig(written);
const restoring = (argument: Partial<RestoreArgument>) => restoreArgument.parse({ cluster: 'jigga', ...argument });

describe('a specification', () => {
  test('of a backup holds everything the run needs, and no secret', () => {
    expectGolden(import.meta.url, 'spec-backup.json', JSON.stringify(backupSpec(config, { policy: 'daily' }), null, 2));
    expectGolden(
      import.meta.url,
      'spec-backup-weekly.json',
      JSON.stringify(backupSpec(config, { policy: 'weekly' }), null, 2),
    );
  });

  test('of an S3 repository names its credentials and holds none', () => {
    const specs = ['ovh', 'aws', 'minio'].map((name) => repositorySpec(config, name));
    expectGolden(import.meta.url, 'spec-s3.json', JSON.stringify(specs, null, 2));
    expect(specs.map(repositoryPlace)).toEqual(['s3://backups/lab', 's3://backups', 's3://backups']);
    expect(repositoryPlace(repositorySpec(config, 'nas'))).toBe('/backup');
  });

  test('of method pg_dump says in which format and with how many jobs', () => {
    expect(backupSpec(config, { policy: 'single' })).toMatchObject({ method: 'pg_dump', format: 'directory', jobs: 4 });
    expect(backupSpec(config, { policy: 'away' }).repository).toHaveProperty('s3.bucket', 'backups');
  });

  test('of a restore knows where dumps lie that something else made', () => {
    const daily = { ...written.policies.daily, adopt: { pattern: '*.sql.gz' } };
    const weekly = { ...written.policies.weekly, adopt: { pattern: '*.dump', path: 'old' } };
    const adopting = parseConfig({ ...written, policies: { ...written.policies, daily, weekly } });
    expect(restoreSpec(adopting, restoring({})).foreign).toEqual([
      { policy: 'daily', repository: { name: 'nas', directory: '/backup' }, path: '', pattern: '*.sql.gz' },
      { policy: 'weekly', repository: { name: 'usb', directory: '/mnt/usb' }, path: 'old', pattern: '*.dump' },
    ]);
    expect(backupSpec(adopting, { policy: 'daily' }).adopt).toMatchObject({ path: '', pattern: '*.sql.gz' });
  });

  test('of a restore holds each repository of the source once, and where it goes', () => {
    const spec = restoreSpec(config, restoring({ database: 'gatus' }));
    expectGolden(import.meta.url, 'spec-restore.json', JSON.stringify(spec, null, 2));
    expect(restoreSpec(config, restoring({ onto: 'lab' })).target).toMatchObject({ cluster: 'lab', site: 'main' });
  });

  test('has another digest as soon as anything in it is another', () => {
    const digests = [
      backupSpec(config, { policy: 'daily' }),
      backupSpec(config, { policy: 'again' }),
      backupSpec({ ...config, installation: 'other' }, { policy: 'daily' }),
      restoreSpec(config, restoring({})),
      restoreSpec(config, restoring({ database: 'gatus' })),
    ].map(({ digest }) => digest);
    expect(new Set(digests).size).toBe(digests.length);
    expect(backupSpec(parseConfig(written), { policy: 'daily' }).digest).toBe(digests[0]);
  });

  test('of names that lead nowhere, and of what isn’t built, is refused', () => {
    const loose: Config = {
      ...config,
      policies: { loose: { ...config.policies['daily'], repository: undefined } as never },
    };
    const cases: readonly (readonly [string, () => unknown])[] = [
      ['an unknown policy', () => backupSpec(config, { policy: 'dialy' })],
      ['a policy that JavaScript knows', () => backupSpec(config, { policy: 'constructor' })],
      ['an unknown policy where there are none', () => backupSpec({ ...config, policies: {} }, { policy: 'daily' })],
      ['a method that isn’t built', () => backupSpec(config, { policy: 'base' })],
      ['a policy without a repository', () => backupSpec(loose, { policy: 'loose' })],
      ['an unknown cluster', () => restoreSpec(config, restoring({ cluster: 'jiga' }))],
      ['a cluster that JavaScript knows', () => restoreSpec(config, restoring({ cluster: 'constructor' }))],
      ['an unknown cluster onto a known one', () => restoreSpec(config, restoring({ cluster: 'jiga', onto: 'lab' }))],
      ['onto an unknown cluster', () => restoreSpec(config, restoring({ onto: 'lap' }))],
      ['a cluster that no policy backs up', () => clusterRepositories({ ...config, policies: {} }, 'jigga')],
      ['an unknown target', () => targetSpec(config, 'none')],
      ['an unknown repository', () => repositorySpec(config, 'none')],
    ];
    expectGolden(import.meta.url, 'specs.txt', cases.map(([title, run]) => `# ${title}\n${told(run)}`).join('\n'));
  });
});

describe('the target of a run', () => {
  const target = targetSpec(config, 'jigga');

  test('is the same while the configuration means the same server', () => {
    expect(
      told(() => {
        assertSameTarget(parseConfig({ ...written, policies: {} }), target);
      }),
    ).toBe('nothing was thrown\n');
  });

  test('is another when host, secret or site have changed: what was approved was not this', () => {
    for (const jigga of [
      { server: { host: 'elsewhere', password: { env: 'SECRET' } }, site: 'cellar' },
      { server: { host: 'db', password: { env: 'OTHER' } }, site: 'cellar' },
      { server: { host: 'db', password: { env: 'SECRET' } }, site: 'attic' },
    ]) {
      const changed = parseConfig({ ...written, clusters: { ...written.clusters, jigga } });
      expect(
        told(() => {
          assertSameTarget(changed, target);
        }),
      ).toMatch(/^ConfigurationChanged: the configuration of cluster jigga/);
    }
  });

  test('that this worker doesn’t know is refused', () => {
    expect(
      told(() => {
        assertSameTarget(config, { ...target, cluster: 'gone' });
      }),
    ).toMatch(/^InvalidArgument: no cluster is named 'gone'/);
  });
});
