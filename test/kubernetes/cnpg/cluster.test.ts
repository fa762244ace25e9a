import { describe, expect, test } from '@jest/globals';
import { assertHasPrimary, isHealthy, type Cluster } from '../../../src/kubernetes/cnpg/cluster.ts';
import { superuserSecretOf } from '../../../src/kubernetes/cnpg/locate.ts';

const cluster = (status: Cluster['status'], more: Partial<Cluster['spec']> = {}, annotations = {}): Cluster => ({
  metadata: { name: 'logto', namespace: 'production', uid: 'u', annotations },
  spec: { instances: 3, ...more },
  status,
});
const healthy = { phase: 'Cluster in healthy state', currentPrimary: 'logto-1', targetPrimary: 'logto-1' };

describe('a CloudNativePG cluster', () => {
  test('is healthy with every instance ready, and no sooner', () => {
    expect(isHealthy(cluster({ ...healthy, readyInstances: 3 }))).toBe(true);
    expect(isHealthy(cluster({ ...healthy, readyInstances: 2 }))).toBe(false);
    expect(isHealthy(cluster({ ...healthy, phase: 'Failing over', readyInstances: 3 }))).toBe(false);
  });

  test('that only lacks a replica has a primary to ask', () => {
    expect(() => {
      assertHasPrimary(cluster({ ...healthy, phase: 'Waiting for the instances to become active', readyInstances: 1 }));
    }).not.toThrow();
  });

  test.each([
    ['is being set up', { phase: 'Setting up primary' }, 'PostgresUnavailable', /no primary: Setting up primary/],
    [
      'switches over',
      { ...healthy, phase: 'Switchover in progress', targetPrimary: 'logto-2' },
      'PostgresUnavailable',
      /from logto-1 to logto-2/,
    ],
    [
      'is lost',
      { ...healthy, phase: 'Cluster is unrecoverable and needs manual intervention', phaseReason: 'no volumes' },
      'PostgresRefused',
      /manual intervention \(no volumes\)/,
    ],
  ])('that %s can not be asked, and says why', (_, status, type, text) => {
    const asking = () => {
      assertHasPrimary(cluster(status));
    };
    expect(asking).toThrow(expect.objectContaining({ type }));
    expect(asking).toThrow(text);
  });

  test('that hibernates is to be woken up', () => {
    expect(() => {
      assertHasPrimary(cluster(healthy, {}, { 'cnpg.io/hibernation': 'on' }));
    }).toThrow(expect.objectContaining({ hint: expect.stringContaining('hibernation=off') }));
  });

  test("keeps its superuser's password where it says, if it lets one in", () => {
    expect(superuserSecretOf(cluster({}, { enableSuperuserAccess: true }))).toBe('logto-superuser');
    expect(superuserSecretOf(cluster({}, { enableSuperuserAccess: true, superuserSecret: { name: 'su' } }))).toBe('su');
    expect(() => superuserSecretOf(cluster({}))).toThrow(/lets no superuser in/);
  });
});
