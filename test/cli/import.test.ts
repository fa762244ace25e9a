import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { KubernetesObject } from '@kubernetes/client-node';
import { parseAllDocuments } from 'yaml';
import { everyApi, startApiServer, type Wishes } from '../kubernetes/discovery/api-server.ts';
import { holdfast } from './command-line.ts';

const several = new URL('../kubernetes/scheduled-backups/fixtures/several.yaml', import.meta.url);
const objects = parseAllDocuments(readFileSync(several, 'utf8')).map((document) => document.toJS() as KubernetesObject);
let directory: string;
const before = process.env['KUBECONFIG'];
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'import-'));
});
afterAll(() => {
  if (before === undefined) delete process.env['KUBECONFIG'];
  else process.env['KUBECONFIG'] = before;
  rmSync(directory, { recursive: true });
});

async function importing(args: readonly string[], wishes: Partial<Wishes> = {}) {
  const server = await startApiServer({ objects, apis: everyApi, directory, ...wishes });
  process.env['KUBECONFIG'] = server.kubeconfigFile;
  try {
    return await holdfast(['import', 'scheduledbackups', ...args], {
      environment: { KUBECONFIG: server.kubeconfigFile },
    });
  } finally {
    await server.close();
  }
}

describe('holdfast import scheduledbackups', () => {
  test('prints a configuration that holdfast config check takes, and says on stderr what it is not', async () => {
    const { code, stdout, stderr } = await importing([]);
    expect(code).toBe(0);
    const file = join(directory, 'holdfast.yaml');
    writeFileSync(file, stdout);
    expect(await holdfast(['config', 'check', '--config', file])).toMatchObject({ code: 0 });
    expect(stderr.split('\n').filter((line) => line.includes('is not imported'))).toEqual([
      'note: ScheduledBackup example-api-prod/interval is not imported: its schedule counts 6h from when the operator began, not by the clock',
      'note: ScheduledBackup example-api-prod/restless is not imported: its schedule runs at second 30, and five fields know no seconds',
      "note: ScheduledBackup production/with-parameters is not imported: it hands its plugin parameters, which a policy can't: area, speed",
    ]);
    expect(stderr).toContain('note: ScheduledBackup production/strange: not looked at, it is not what this version');
  });

  test('leaves out what the configuration has that is named', async () => {
    const file = join(directory, 'known.yaml');
    const daily = { cluster: 'logto', method: 'cnpg', cnpg: { method: 'plugin' }, schedule: '0 3 * * *' };
    const clusters = { logto: { cnpg: { namespace: 'production', name: 'logto-postgres' } } };
    writeFileSync(file, JSON.stringify({ installation: 'homelab', clusters, policies: { nightly: daily } }));
    const { code, stdout } = await importing(['--config', file, '--namespace', 'production', '--json']);
    expect(code).toBe(0);
    const document = JSON.parse(stdout) as {
      readonly configuration: { readonly clusters: object; readonly policies: object };
      readonly scheduledBackups: readonly object[];
    };
    expect(Object.keys(document.configuration.clusters)).toEqual(['gone']);
    expect(Object.keys(document.configuration.policies)).toEqual(['orphaned', 'resting', 'snapshots']);
    expect(document.scheduledBackups).toContainEqual(
      expect.objectContaining({ name: 'nightly', becomes: 'known', policy: 'nightly', fiveFields: '0 0 * * *' }),
    );
    expect(document.scheduledBackups).toContainEqual(
      expect.objectContaining({ name: 'snapshots', becomes: 'policy', timezone: 'Asia/Tokyo', suspended: false }),
    );
  });

  test('says that there are none where there is no CloudNativePG', async () => {
    const { code, stdout, stderr } = await importing(['--namespace', 'production'], { apis: [] });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('# No ScheduledBackup.');
  });

  test('fails where it may see none, and prints what it has without Clusters', async () => {
    const { code, stdout, stderr } = await importing(['--namespace', 'production'], { refused: ['scheduledbackups'] });
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expect(stderr).toContain('the credentials may look at no ScheduledBackup');
    const some = await importing(['--namespace', 'production'], { refused: ['clusters', 'objectstores'] });
    expect(some.code).toBe(0);
    expect(some.stdout).toContain('# Cluster production/logto-postgres was not seen.');
    expect(some.stderr).toContain('Clusters of CloudNativePG in namespace production: not looked at');
  });

  test('suspends nothing without a configuration', async () => {
    const missing = join(directory, 'missing.yaml');
    expect(await importing(['--suspend', '--yes', '--config', missing])).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('there is no configuration at') as unknown,
    });
  });
});
