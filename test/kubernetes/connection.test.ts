import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findKubernetes } from '../../src/kubernetes/connection.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kubeconfig-'));
});
afterEach(() => {
  rmSync(directory, { recursive: true });
});

/** @param current undefined: it names no context as the current one */
function write(path: string, name: string, current: string | undefined = name): string {
  const file = join(directory, path);
  mkdirSync(join(file, '..'), { recursive: true });
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: `https://${name}.example:6443` } }],
    users: [{ name, user: { token: 't' } }],
    contexts: [{ name, context: { cluster: name, user: name } }],
    ...(current === '' ? {} : { 'current-context': current }),
  };
  writeFileSync(file, JSON.stringify(config));
  return file;
}
const serverOf = async (environment: Record<string, string>) =>
  (await findKubernetes(environment)).getCurrentCluster()?.server;

describe('the Kubernetes to ask', () => {
  test('is that of the KUBECONFIG that was handed in, whatever else there is', async () => {
    write('home/.kube/config', 'home');
    const KUBECONFIG = write('named', 'named');
    expect(await serverOf({ KUBECONFIG, HOME: join(directory, 'home'), KUBERNETES_SERVICE_HOST: '10.0.0.1' })).toBe(
      'https://named.example:6443',
    );
  });

  test('is of the first of several files that names a current context', async () => {
    const files = [write('a', 'a', ''), write('b', 'b'), write('c', 'c')];
    expect(await serverOf({ KUBECONFIG: files.join(':') })).toBe('https://b.example:6443');
    expect(await serverOf({ KUBECONFIG: files.toReversed().join(':') })).toBe('https://c.example:6443');
  });

  test('is else that of the home directory', async () => {
    write('home/.kube/config', 'home');
    expect(await serverOf({ HOME: join(directory, 'home') })).toBe('https://home.example:6443');
  });

  test.each([
    ['nowhere', () => ({}), /there is no Kubernetes to ask/],
    ['in a file that is not there', () => ({ KUBECONFIG: join(directory, 'none') }), /none can't be used: .*ENOENT/],
    ['in no current context', () => ({ KUBECONFIG: write('a', 'a', '') }), /no current context/],
  ])('that is found %s is missed by name', async (_, environment, text) => {
    const finding = () => findKubernetes(environment());
    await expect(finding()).rejects.toThrow(expect.objectContaining({ type: 'ConfigurationInvalid' }));
    await expect(finding()).rejects.toThrow(text);
  });
});
