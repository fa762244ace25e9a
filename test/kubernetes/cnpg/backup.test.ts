import { describe, expect, test } from '@jest/globals';
import { backupObjectName } from '../../../src/domain/cnpg-specs.ts';
import { backupObject, standingOf, type Backup } from '../../../src/kubernetes/cnpg/backup.ts';
import type { Cluster } from '../../../src/kubernetes/cnpg/cluster.ts';
import { wayFor } from '../../../src/kubernetes/cnpg/ways.ts';

const at = new Date('2026-11-21T02:00:00Z');

describe("a Backup object's name", () => {
  test('is the policy and the time, and the turn of a run that tries again', () => {
    expect(backupObjectName('logto-daily', at, 1)).toBe('logto-daily-20261121-020000');
    expect(backupObjectName('logto-daily', at, 2)).toBe('logto-daily-20261121-020000-2');
  });

  test('fits into a label, whatever the policy is called', () => {
    const name = backupObjectName(`${'a'.repeat(45)}-${'b'.repeat(17)}`, at, 12);
    expect(name).toMatch(/^a+-20261121-020000-12$/);
    expect(name.length).toBeLessThanOrEqual(63);
  });
});

test('a Backup object always says its method, and only what was asked for besides', () => {
  const order = {
    cluster: { namespace: 'production', name: 'logto' },
    name: 'daily-1',
    labels: { 'holdfast/policy': 'daily' },
    way: { method: 'barmanObjectStore' as const },
    target: null,
    online: null,
  };
  expect(backupObject(order)).toEqual({
    apiVersion: 'postgresql.cnpg.io/v1',
    kind: 'Backup',
    metadata: {
      name: 'daily-1',
      namespace: 'production',
      labels: { 'app.kubernetes.io/managed-by': 'holdfast', 'holdfast/policy': 'daily' },
    },
    spec: { cluster: { name: 'logto' }, method: 'barmanObjectStore' },
  });
  const plugin = { method: 'plugin' as const, plugin: 'p.example' };
  expect(backupObject({ ...order, way: plugin, target: 'primary', online: false }).spec).toEqual({
    cluster: { name: 'logto' },
    method: 'plugin',
    pluginConfiguration: { name: 'p.example' },
    target: 'primary',
    online: false,
  });
});

describe('how a backup is taken', () => {
  const cluster = (spec: Partial<Cluster['spec']>): Cluster => ({
    metadata: { name: 'logto', namespace: 'production', uid: 'u' },
    spec: { instances: 1, ...spec },
    status: {},
  });
  const barman = { backup: { barmanObjectStore: {} } };
  const barmanCloud = { name: 'barman-cloud.cloudnative-pg.io', isWALArchiver: true };
  const plugin = { plugins: [barmanCloud] };

  test.each([
    ['in-tree Barman', barman, { method: 'barmanObjectStore' }],
    ['the plugin', plugin, { method: 'plugin', plugin: 'barman-cloud.cloudnative-pg.io' }],
    ['both', { ...barman, ...plugin }, { method: 'plugin', plugin: 'barman-cloud.cloudnative-pg.io' }],
    [
      'snapshots beside Barman',
      { backup: { barmanObjectStore: {}, volumeSnapshot: {} } },
      { method: 'barmanObjectStore' },
    ],
    ['snapshots', { backup: { volumeSnapshot: {} } }, { method: 'volumeSnapshot' }],
  ])('is the own way of a Cluster with %s', (_, spec, way) => {
    expect(wayFor(cluster(spec), null)).toEqual(way);
  });

  test('is as asked where the Cluster is set up for it', () => {
    const both = cluster({ backup: { barmanObjectStore: {}, volumeSnapshot: {} } });
    expect(wayFor(both, { method: 'volumeSnapshot' })).toEqual({ method: 'volumeSnapshot' });
    const other = { method: 'plugin' as const, plugin: 'other.example' };
    expect(wayFor(cluster({ plugins: [{ name: 'other.example' }] }), other)).toEqual(other);
  });

  test.each([
    ['nothing at all', {}, null, /is not set up for backups/],
    ['a plugin that is switched off', { plugins: [{ ...barmanCloud, enabled: false }] }, null, /is not set up/],
    [
      'another way than asked',
      barman,
      { method: 'volumeSnapshot' as const },
      /volumeSnapshot; it has barmanObjectStore/,
    ],
    [
      'another plugin',
      { ...plugin, ...barman },
      { method: 'plugin' as const, plugin: 'p' },
      /plugin p; it has plugin barman/,
    ],
  ])('is refused of a Cluster with %s', (_, spec, wished, text) => {
    expect(() => wayFor(cluster(spec), wished)).toThrow(text);
  });
});

describe('a Backup', () => {
  const backup = (status: Backup['status']): Backup => ({
    metadata: { name: 'b', namespace: 'n' },
    spec: { cluster: { name: 'c' } },
    status,
  });

  test.each([
    ['completed', null, false],
    ['failed', 'CloudNativePG says no more than that it failed', true],
    ['invalid backup definition', 'invalid backup definition: see the Backup object', false],
  ])('is over in phase "%s"', (phase, failure, mayGoOn) => {
    expect(standingOf(backup({ phase }))).toEqual({ over: true, failure, mayGoOn });
  });

  test('that failed says why', () => {
    expect(standingOf(backup({ phase: 'failed', error: 'no space' }))).toMatchObject({ failure: 'no space' });
  });

  test.each(['pending', 'started', 'running', 'finalizing', 'walArchivingFailing', 'a phase of tomorrow', undefined])(
    'is not over in phase %s',
    (phase) => {
      expect(standingOf(backup(phase === undefined ? {} : { phase })).over).toBe(false);
    },
  );
});
