import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { openKubernetes, type Namespace } from '../../../parts/kubernetes.ts';
import { startWorld, type World } from '../../../parts/world.ts';
import { cnpg, inTreeCluster, storeSecret } from './cnpg-objects.ts';
import { useKubernetes } from './kubeconfigs.ts';

const kubernetes = openKubernetes();

describe('ScheduledBackups on a cluster', () => {
  let namespace: Namespace;
  let world: World;

  beforeAll(async () => {
    [namespace, world] = await Promise.all([kubernetes.makeNamespace('import'), startWorld()]);
    await useKubernetes(world, kubernetes.kubeconfigFile);
    const scheduled = (name: string, schedule: string, more: object = {}) => ({
      apiVersion: cnpg,
      kind: 'ScheduledBackup',
      metadata: { name },
      spec: { schedule, cluster: { name: 'api' }, ...more },
    });
    await namespace.apply([
      storeSecret(kubernetes),
      inTreeCluster(kubernetes, 'api', { bucket: { name: 'none' }, retention: '7d' }),
      scheduled('nightly', '0 0 2 * * *', { backupOwnerReference: 'self' }),
      scheduled('restless', '30 0 3 * * *'),
    ]);
  });
  afterAll(async () => {
    await world.stop();
    await namespace.remove();
  });

  const importing = (...args: readonly string[]) =>
    world.holdfast('import', 'scheduledbackups', '--namespace', namespace.name, ...args);
  const isSuspended = async (name: string) =>
    (await namespace.get({ apiVersion: cnpg, kind: 'ScheduledBackup', name }))?.spec?.['suspend'] === true;

  test('become policies by what is printed, and rest only once these are applied', async () => {
    await world.configure({ clusters: {}, policies: {} });
    const printed = await importing();
    expect(printed).toMatchObject({ code: 0 });
    expect(printed.stderr).toContain(`${namespace.name}/restless is not imported: its schedule runs at second 30`);
    const { clusters, policies } = parse(printed.stdout) as Record<'clusters' | 'policies', object>;
    expect({ clusters, policies }).toEqual({
      clusters: { api: { cnpg: { namespace: namespace.name, name: 'api' } } },
      policies: {
        nightly: {
          cluster: 'api',
          method: 'cnpg',
          cnpg: { method: 'barmanObjectStore' },
          schedule: '0 2 * * *',
          window: '7d',
        },
      },
    });
    await world.configure({ clusters, policies });

    const tooEarly = await importing('--suspend', '--yes');
    expect(tooEarly.code).toBe(6);
    expect(tooEarly.stdout).toContain('the schedule of policy nightly is not in Temporal yet');
    expect(await isSuspended('nightly')).toBe(false);

    expect(await world.holdfast('apply')).toMatchObject({ code: 0 });
    const unasked = await importing('--suspend');
    expect(unasked).toMatchObject({ code: 2, stderr: expect.stringContaining('add --yes') });
    expect(unasked.stdout).toMatch(/suspend +import-\w+\/nightly +policy nightly does its work, next \d{4}-/);
    expect(await isSuspended('nightly')).toBe(false);

    await world.temporalCommand('schedule', 'toggle', '--schedule-id', 'world/nightly', '--pause', '--reason', 'test');
    expect((await importing('--suspend', '--yes')).stdout).toContain('the schedule of policy nightly is paused');
    expect(await isSuspended('nightly')).toBe(false);
    await world.temporalCommand(
      'schedule',
      'toggle',
      '--schedule-id',
      'world/nightly',
      '--unpause',
      '--reason',
      'test',
    );

    const done = await importing('--suspend', '--yes');
    expect(done.code).toBe(6);
    expect(done.stdout).toContain(`kubectl -n ${namespace.name} patch scheduledbackup nightly --type merge`);
    expect(done.stdout).toContain(`${namespace.name}/restless: no policy of the configuration does its work`);
    expect([await isSuspended('nightly'), await isSuspended('restless')]).toEqual([true, false]);
    const again = await importing('--suspend', '--yes', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({
      suspended: [],
      suspendedAlready: [{ name: 'nightly' }],
      left: [{ name: 'restless' }],
    });
    expect((await importing()).stdout).toContain('In the configuration already:');
  });
});
