import { describe, expect, test } from '@jest/globals';
import { parseConfig } from '../../src/domain/config.ts';
import { usualDrillBytes } from '../../src/domain/drill-place.ts';
import { drillSpec } from '../../src/domain/physical-specs.ts';
import { told } from './samples.ts';

const config = (cluster: object, method = 'pg_dumpall') =>
  parseConfig({
    installation: 'lab',
    repositories: { nas: { directory: '/backup' } },
    clusters: { main: cluster },
    policies: { daily: { cluster: 'main', method, repository: 'nas' } },
  });
function podOf(cluster: object, method?: string) {
  const spec = drillSpec(config(cluster, method), 'daily');
  return 'pod' in spec ? spec.pod : undefined;
}
const cnpg = { cnpg: { namespace: 'postgres', name: 'main' } };
const statefulset = { statefulset: { namespace: 'infra', name: 'postgres', secret: 'admin' } };

describe('where a drill is made', () => {
  test('of a cluster in Kubernetes beside it, with the image that it runs', () => {
    expect(podOf(cnpg)).toEqual({
      ...{ namespace: 'postgres', isAtHome: true, image: null },
      storage: { bytes: null, storageClass: null },
      resources: { requests: { cpu: '100m', memory: '512Mi' }, limits: { memory: '2Gi' } },
    });
    expect(podOf(statefulset, 'pg_dump')).toMatchObject({ namespace: 'infra', isAtHome: true });
  });

  test('as the configuration says, if it says something', () => {
    const drill = {
      ...{ namespace: 'drills', image: 'i:18', storage: { size: '20Gi', storageClass: 'fast' } },
      resources: { limits: { cpu: '2', memory: '4Gi' } },
    };
    expect(podOf({ ...cnpg, drill })).toEqual({
      ...{ namespace: 'drills', isAtHome: false, image: 'i:18' },
      storage: { bytes: 20 * 1024 ** 3, storageClass: 'fast' },
      resources: { requests: { cpu: '100m', memory: '512Mi' }, limits: { cpu: '2', memory: '4Gi' } },
    });
  });

  test.each([
    ['that is told so', { ...cnpg, drill: { on: 'worker' } }, 'pg_dumpall'],
    ['by method base, whose files need a disk', statefulset, 'base'],
    ['of kind server', { server: { host: 'db' } }, 'pg_dumpall'],
  ])('on the worker for a cluster %s', (_, cluster, method) => {
    expect(podOf(cluster, method)).toBeUndefined();
  });

  test('is refused where it makes no sense', () => {
    expect(told(() => config({ server: { host: 'db' }, drill: {} }))).toContain(
      "clusters.main.drill: is for clusters in Kubernetes: a server's backups are drilled on the worker",
    );
    expect(told(() => config({ ...cnpg, drill: { on: 'worker', image: 'i' } }))).toContain(
      'clusters.main.drill.image: is for drills in a pod, not for on: worker',
    );
    expect(told(() => config({ ...cnpg, drill: { storage: { size: '20GB' } } }))).toContain(
      'clusters.main.drill.storage.size: must be a size such as "20Gi"',
    );
  });

  test('has room for half as much again as the databases took, and for the log', () => {
    expect(usualDrillBytes(0)).toBe(2 * 1024 ** 3);
    expect(usualDrillBytes(10 * 1024 ** 3)).toBe(17 * 1024 ** 3);
  });
});
