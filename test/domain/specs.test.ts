import { describe, expect, test } from '@jest/globals';
import { parseConfig, type Config } from '../../src/domain/config.ts';
import {
  assertSameTarget,
  backupSpec,
  clusterRepositories,
  repositorySpec,
  restoreSpec,
  targetSpec,
} from '../../src/domain/specs.ts';
import { restoreArgument, type RestoreArgument } from '../../src/domain/arguments.ts';
import { expectGolden } from '../golden.ts';
import { told } from './samples.ts';

const written = {
  installation: 'homelab',
  repositories: { nas: { directory: '/backup' }, usb: { directory: '/mnt/usb' }, ovh: { s3: { bucket: 'backups' } } },
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
    single: { cluster: 'jigga', method: 'pg_dump', repository: 'nas' },
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
      ['a method that isn’t built', () => backupSpec(config, { policy: 'single' })],
      ['a policy of a StatefulSet', () => backupSpec(config, { policy: 'infra' })],
      ['a policy into S3', () => backupSpec(config, { policy: 'away' })],
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
