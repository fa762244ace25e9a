import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { KubeConfig } from '@kubernetes/client-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectKubernetes } from '../../../src/kubernetes/connection.ts';
import { configure } from '../../../src/kubernetes/discovery/configuration.ts';
import { discover } from '../../../src/kubernetes/discovery/discover.ts';
import { listEverything, type Listing } from '../../../src/kubernetes/discovery/list.ts';
import { everyApi, failure, severalFixtures, startApiServer, type ApiServer, type Wishes } from './api-server.ts';

let directory: string;
let server: ApiServer | undefined;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'discover-'));
});
afterEach(async () => {
  await server?.close();
  rmSync(directory, { recursive: true });
});

async function list(wishes: Partial<Wishes> = {}, namespaces?: readonly string[]): Promise<Listing> {
  server = await startApiServer({ objects: severalFixtures(), apis: everyApi, directory, ...wishes });
  const config = new KubeConfig();
  config.loadFromFile(server.kubeconfigFile);
  return await listEverything(await connectKubernetes(config), { namespaces, home: 'infra' });
}

const namesIn = ({ listed }: Listing) => Object.keys(configure(discover(listed)).configuration.clusters);
const all = ['orphan', 'postgres-primary', 'postgres', 'logto-postgres', 'shop-postgresql'];

describe('looking around', () => {
  test('reads every page of every kind in all namespaces, and no Secret', async () => {
    const listing = await list();
    expect(listing).toMatchObject({
      namespaces: ['development', 'ibs', 'infra', 'production', 'shop'],
      unread: [],
      looked: true,
    });
    expect(namesIn(listing)).toEqual(all);
    expect(listing.listed.objectStores).toHaveLength(1);
    const { requests = [] } = server ?? {};
    expect(requests.filter((request) => request.includes('continue=')).length).toBeGreaterThan(4);
    expect(requests.filter((request) => /secrets|namespaces\/./.test(request))).toEqual([]);
    expect(requests.filter((request) => !request.startsWith('GET '))).toEqual([]);
  });

  test('needs no CloudNativePG', async () => {
    const listing = await list({ apis: [] });
    expect(listing.unread).toEqual([]);
    expect(namesIn(listing)).toEqual(['postgres-primary', 'postgres', 'shop-postgresql']);
  });

  test('needs no plugin beside CloudNativePG', async () => {
    const listing = await list({ apis: ['postgresql.cnpg.io/v1'] });
    expect(listing.unread).toEqual([]);
    expect(namesIn(listing)).toEqual(all);
  });

  test('stays in the namespaces that are named', async () => {
    const listing = await list({}, ['shop', 'infra', 'shop']);
    expect(listing).toMatchObject({ namespaces: ['infra', 'shop'], unread: [] });
    expect(namesIn(listing)).toEqual(['postgres', 'shop-postgresql']);
  });

  test('refuses a namespace that is not there', async () => {
    await expect(list({}, ['shop', 'shpo'])).rejects.toMatchObject({
      type: 'InvalidArgument',
      message: "there is no namespace 'shpo'",
    });
  });

  test('takes the word of who may not read namespaces', async () => {
    expect(namesIn(await list({ refused: ['namespaces'] }, ['shop']))).toEqual(['shop-postgresql']);
  });

  test('stays at home where namespaces may not be listed, and says so', async () => {
    const listing = await list({ refused: ['namespaces'] });
    expect(namesIn(listing)).toEqual(['postgres']);
    expect(listing.unread).toEqual([
      expect.objectContaining({
        what: 'all namespaces but infra',
        why: 'the credentials may not list namespaces',
        hint: expect.stringContaining('--namespace') as unknown,
      }),
    ]);
  });

  test('goes from namespace to namespace where a kind may not be listed in all, and names those that stay shut', async () => {
    const listing = await list({ refused: ['shop/statefulsets', 'ibs/statefulsets', 'services'] });
    expect(namesIn(listing)).toEqual(['orphan', 'postgres', 'logto-postgres']);
    expect(listing.unread).toEqual([
      {
        what: 'Services in namespaces development, ibs, infra, production, shop',
        why: 'the credentials may not list services there',
        hint: 'grant the verb list on services in a Role there, or in a ClusterRole for all namespaces',
      },
      {
        what: 'StatefulSets in namespaces ibs, shop',
        why: 'the credentials may not list statefulsets.apps there',
        hint: 'grant the verb list on statefulsets.apps in a Role there, or in a ClusterRole for all namespaces',
      },
    ]);
    expect(listing.looked).toBe(true);
  });

  test('says that it saw nothing where nothing may be seen', async () => {
    const refused = ['statefulsets', 'deployments', 'pods', 'clusters'];
    const listing = await list({ refused }, ['shop']);
    expect(listing).toMatchObject({ looked: false });
    expect(listing.unread.map(({ what }) => what)).toEqual([
      'Clusters of CloudNativePG in namespace shop',
      'Deployments in namespace shop',
      'StatefulSets in namespace shop',
      'pods in namespace shop',
    ]);
  });

  test('begins a list again that the server has forgotten', async () => {
    let forgotten = 0;
    const odd = (url: URL) => {
      if (!url.pathname.endsWith('/services') || !url.searchParams.has('continue') || forgotten === 2) return undefined;
      forgotten += 1;
      return failure(410, 'The provided continue parameter is too old');
    };
    expect(namesIn(await list({ odd }))).toEqual(all);
    expect(forgotten).toBe(2);
  });

  test.each([
    ['forgets it again and again', () => failure(410, 'too old'), 'KubernetesUnavailable', /too old/],
    [
      'answers the same page again',
      () => ({ status: 200, body: { items: [], metadata: { continue: 'x' } } }),
      'KubernetesUnavailable',
      /the same page again/,
    ],
    ['is busy', () => failure(429, 'too many requests'), 'KubernetesUnavailable', /too many requests/],
    ['does not know who asks', () => failure(401, 'Unauthorized'), 'KubernetesRefused', /HTTP status 401/],
  ])('ends where the server %s', async (_, said, type, message) => {
    const odd = (url: URL) => (url.pathname.endsWith('/services') ? said() : undefined);
    await expect(list({ odd })).rejects.toMatchObject({ type, message: expect.stringMatching(message) as unknown });
  });

  test.each([
    ['words', 'no list at all'],
    ['a list without items', { metadata: {} }],
    ['items that are no objects', { items: [null, 7, { metadata: null }] }],
  ])('is not led astray by %s in the place of Clusters', async (_, body) => {
    const odd = (url: URL) => (url.pathname.endsWith('/clusters') ? { status: 200, body } : undefined);
    const outcome = await list({ odd }).then(
      ({ listed }) => discover(listed).unread.length,
      (error: unknown) => (error as { readonly type?: unknown }).type,
    );
    expect([3, 'KubernetesNotUnderstood']).toContain(outcome);
  });
});
