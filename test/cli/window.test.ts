import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { walSegmentKey } from '../../src/domain/wal-archive.ts';
import { segmentBytes, system } from '../domain/physical-samples.ts';
import { segmentName } from '../../src/domain/wal.ts';
import { expectGolden } from '../golden.ts';
import { physicalPlace, type PhysicalPlace } from './physical-place.ts';

/** The clock says 2026-11-21 12:00 UTC. */

let place: PhysicalPlace;
beforeEach(async () => {
  place = await physicalPlace();
  await place.configure(archived);
});
afterEach(() => place.remove());

const archived = `
clusters: { infra: { server: { host: db }, wal: { repository: nas } } }
policies: { infra-base: { cluster: infra, method: base, repository: nas } }
`;

interface Found {
  readonly clusters: readonly {
    readonly cluster: string;
    readonly recoverable: boolean;
    readonly advice: readonly string[];
    readonly systems: readonly { readonly windows: readonly unknown[]; readonly gaps: readonly unknown[] }[];
    readonly damaged: readonly unknown[];
    readonly unreadable: readonly unknown[];
  }[];
  readonly unreachable: readonly unknown[];
}

async function found(...argv: string[]): Promise<Found['clusters'][number]> {
  const { code, stdout, stderr } = await place.run('window', 'infra', '--json', ...argv);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const [first] = (JSON.parse(stdout) as Found).clusters;
  if (!first) throw new Error('no cluster');
  return first;
}

describe('window', () => {
  test('shows from when to when a cluster can be recovered, and needs nothing done', async () => {
    await place.addBase({ id: 'infra-base-20261120-020000', segment: 3, at: '2026-11-20T02:00:05.000Z' });
    await place.addWal(1, 2, 14, '2026-11-21T11:58:00.000Z');
    const { code, stdout, stderr } = await place.run('window', 'infra');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expectGolden(import.meta.url, 'window.txt', stdout);
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
    expect(await found()).toMatchObject({
      cluster: 'infra',
      recoverable: true,
      advice: [],
      systems: [
        {
          systemIdentifier: system,
          windows: [
            {
              from: { time: '2026-11-20T02:00:05.000Z', base: 'infra-base-20261120-020000' },
              to: { time: '2026-11-21T11:58:00.000Z', lsn: '0/F000000', timeline: 1 },
            },
          ],
        },
      ],
    });
  });

  test('names a gap, and the base backup that closes the window again', async () => {
    await place.addBase({ id: 'infra-base-20261120-020000', segment: 3, at: '2026-11-20T02:00:05.000Z' });
    await place.addWal(1, 2, 8, '2026-11-20T20:00:00.000Z');
    await place.addWal(1, 11, 14, '2026-11-21T11:58:00.000Z');
    const { code, stdout } = await place.run('window', 'infra');
    expect(code).toBe(0);
    expectGolden(import.meta.url, 'window-gap.txt', stdout);
    expect(await found()).toMatchObject({
      recoverable: true,
      advice: [expect.stringContaining("'holdfast backup infra-base'")],
      systems: [{ gaps: [{ firstMissing: '000000010000000000000009', lastMissing: '00000001000000000000000A' }] }],
    });
  });

  test('a gap that a later base backup has closed needs nothing done', async () => {
    await place.addBase({ id: 'infra-base-20261120-020000', segment: 3, at: '2026-11-20T02:00:05.000Z' });
    await place.addBase({ id: 'infra-base-20261121-020000', segment: 12, at: '2026-11-21T02:00:05.000Z' });
    await place.addWal(1, 2, 8, '2026-11-20T20:00:00.000Z');
    await place.addWal(1, 11, 14, '2026-11-21T11:58:00.000Z');
    expect(await found()).toMatchObject({ advice: [], systems: [{ windows: [{}, {}], gaps: [{}] }] });
  });

  test('goes along a timeline switch', async () => {
    await place.addBase({ id: 'infra-base-20261120-020000', segment: 3, at: '2026-11-20T02:00:05.000Z' });
    await place.addWal(1, 2, 8);
    await place.addHistory(2, '1\t0/8008000\tno recovery target specified\n');
    await place.addWal(2, 8, 14, '2026-11-21T11:58:00.000Z');
    expect(await found()).toMatchObject({
      recoverable: true,
      systems: [{ timeline: 2, windows: [{ timelines: [1, 2] }], switches: [{ from: 1, to: 2, lsn: '0/8008000' }] }],
    });
  });

  test('an empty window is said in words, with what to do, and is no failure', async () => {
    const { code, stdout } = await place.run('window', 'infra');
    expect(code).toBe(0);
    expect(stdout).toContain("Cluster infra can't be recovered");
    expect(stdout).toContain("to do: cluster infra can't be recovered; a new base backup opens a window");
    expect(await found()).toMatchObject({ recoverable: false, systems: [] });
  });

  test('without a WAL archive the ends of the base backups are all there is, and that is said', async () => {
    await place.configure(archived.replace(', wal: { repository: nas }', ''));
    await place.addBase({ id: 'b1', segment: 3, at: '2026-11-20T02:00:05.000Z', includesWal: true });
    expect(await found()).toMatchObject({
      recoverable: true,
      advice: [expect.stringContaining('no WAL of cluster infra is archived')],
      systems: [{ windows: [{ alone: true }] }],
    });
  });

  test('a window that ends long ago is worth a word', async () => {
    await place.addBase({ id: 'b1', segment: 3, at: '2026-11-20T02:00:05.000Z' });
    await place.addWal(1, 2, 14, '2026-11-21T02:00:00.000Z');
    expect((await found()).advice).toEqual([expect.stringContaining('is 10 h old')]);
  });

  test('an archive that can not be read is told, and not taken for an empty one', async () => {
    await place.addBase({ id: 'b1', segment: 3, at: '2026-11-20T02:00:05.000Z' });
    const segment = segmentName(1, 2n, segmentBytes);
    await place.write(walSegmentKey('infra', system, 1, segment, 'zst'), Buffer.alloc(4096));
    const { code, stdout, stderr } = await place.run('window', 'infra');
    expect(code).toBe(0);
    expect(stderr).toContain("note: the WAL archive in repository nas can't be read: WAL segment infra/wal/");
    expect(stdout).toContain("what can be recovered isn't known");
    expect((await found()).damaged).toMatchObject([{ repository: 'nas', type: 'ObjectDamaged' }]);
  });

  test('a manifest that can not be read is told', async () => {
    await place.write(`infra/physical/${system}/b1/manifest.json`, '{}');
    expect((await found()).unreadable).toMatchObject([{ repository: 'nas', reason: expect.any(String) }]);
  });

  test('without a cluster it shows every one that has WAL or base backups, and what it can not read', async () => {
    await place.configure(`
clusters:
  infra: { server: { host: db }, wal: { repository: nas } }
  dumped: { server: { host: db } }
  far: { server: { host: db }, wal: { repository: away } }
`);
    const { code, stdout, stderr } = await place.run('window', '--json');
    expect(code).toBe(5);
    expect(stderr).toBe('');
    const { clusters, unreachable } = JSON.parse(stdout) as Found;
    expect(clusters.map(({ cluster }) => cluster)).toEqual(['infra']);
    expect(unreachable).toMatchObject([{ cluster: 'far', repository: 'away', type: 'StoreNotMounted' }]);
    expect(await place.run('window', 'far')).toMatchObject({ code: 5, stdout: '' });
  });

  test('a cluster that nobody configured is wrong usage, and one without anything is said to have nothing', async () => {
    expect(await place.run('window', 'nope')).toMatchObject({ code: 2 });
    await place.configure('clusters: { dumped: { server: { host: db } } }\n');
    expect((await place.run('window')).stdout).toContain('no cluster has a WAL archive');
    expect((await place.run('window', 'dumped')).stdout).toContain('add a policy with method: base');
  });

  test('of a cluster of CloudNativePG asks Kubernetes, and says where there is none', async () => {
    await place.configure(`
clusters: { logto: { cnpg: { namespace: production, name: logto } } }
policies: { logto: { cluster: logto, method: cnpg } }
`);
    const { code, stdout, stderr } = await place.run('window', 'logto');
    expect({ code, stdout }).toEqual({ code: 5, stdout: 'logto  by CloudNativePG, Cluster production/logto\n' });
    expect(stderr).toContain('there is no Kubernetes to ask');
  });
});
