import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { expectGolden } from '../golden.ts';
import { everyApi, severalFixtures, startApiServer, type Wishes } from '../kubernetes/discovery/api-server.ts';
import { holdfast } from './command-line.ts';

let directory: string;
const before = process.env['KUBECONFIG'];
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), 'discover-'));
});
afterAll(() => {
  if (before === undefined) delete process.env['KUBECONFIG'];
  else process.env['KUBECONFIG'] = before;
  rmSync(directory, { recursive: true });
});

/** The library that reads kubeconfigs looks for the variable itself. */
async function discover(args: readonly string[], wishes: Partial<Wishes> = {}) {
  const server = await startApiServer({ objects: severalFixtures(), apis: everyApi, directory, ...wishes });
  process.env['KUBECONFIG'] = server.kubeconfigFile;
  try {
    return await holdfast(['discover', ...args], { environment: { KUBECONFIG: server.kubeconfigFile } });
  } finally {
    await server.close();
  }
}

describe('holdfast discover', () => {
  test('prints a configuration that holdfast config check takes, and nothing else, on stdout', async () => {
    const { code, stdout, stderr } = await discover([]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectGolden(import.meta.url, 'discovered.yaml', stdout);
    const file = join(directory, 'holdfast.yaml');
    writeFileSync(file, stdout);
    const checked = await holdfast(['config', 'check', '--config', file, '--json']);
    expect(checked).toMatchObject({ code: 0, stderr: '' });
  });

  test('says on stderr what it may not read, and prints what it found all the same', async () => {
    const { code, stdout, stderr } = await discover(['--namespace', 'infra', 'shop'], {
      refused: ['services', 'pods'],
    });
    expect(code).toBe(0);
    expect(stdout).toMatch(/postgres:\n {4}statefulset:/);
    expect(stderr.split('\n')).toEqual([
      'note: Services in namespaces infra, shop: not looked at, the credentials may not list services there',
      'note:   grant the verb list on services in a Role there, or in a ClusterRole for all namespaces',
      'note: pods in namespaces infra, shop: not looked at, the credentials may not list pods there',
      'note:   grant the verb list on pods in a Role there, or in a ClusterRole for all namespaces',
      '',
    ]);
  });

  test('fails where it may look at nothing, and names every right that is missing', async () => {
    const refused = ['statefulsets', 'deployments', 'pods', 'services', 'persistentvolumeclaims', 'clusters'];
    const { code, stdout, stderr } = await discover(['--namespace', 'infra'], { refused, apis: [] });
    expect({ code, stdout }).toEqual({ code: 5, stdout: '' });
    expectGolden(import.meta.url, 'discover-refused.txt', stderr);
  });

  test('tells programs what was found, the configuration, and what could not be read', async () => {
    const { code, stdout, stderr } = await discover(['--json'], { refused: ['poolers'] });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const document = JSON.parse(stdout) as Readonly<Record<string, unknown>>;
    expect(Object.keys(document)).toEqual(['namespaces', 'found', 'configuration', 'unread']);
    expect(document).toMatchObject({
      namespaces: ['development', 'ibs', 'infra', 'production', 'shop'],
      configuration: {
        clusters: {
          postgres: { statefulset: { namespace: 'infra', secret: 'postgres-admin', service: 'postgres-lb' } },
        },
        policies: { 'postgres-daily': { cluster: 'postgres', method: 'pg_dumpall' } },
      },
      unread: [{ why: 'the credentials may not list poolers.postgresql.cnpg.io there' }],
    });
    expect(document['found']).toContainEqual(
      expect.objectContaining({
        kind: 'cnpg',
        name: 'logto-postgres',
        version: '17.6',
        superuserSecret: 'logto-postgres-superuser',
        scheduledBackups: [expect.objectContaining({ fiveFields: '0 0 * * *', suspended: true }) as unknown],
      }),
    );
  });

  test('refuses a namespace that is none, and one that is not there', async () => {
    expect(await holdfast(['discover', '--namespace', 'a/b'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("expected a namespace's name") as unknown,
    });
    expect(await discover(['--namespace', 'infra', 'gone'])).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining("there is no namespace 'gone'") as unknown,
    });
  });

  test('says what to do where there is no Kubernetes', async () => {
    const missing = join(directory, 'missing');
    process.env['KUBECONFIG'] = missing;
    const { code, stdout, stderr } = await holdfast(['discover'], { environment: { KUBECONFIG: missing } });
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/^holdfast: .*kubeconfig.*\n {2}hint: /);
  });
});
