import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { system } from '../domain/physical-samples.ts';
import { expectGolden } from '../golden.ts';
import { physicalPlace, type PhysicalPlace } from './physical-place.ts';

let place: PhysicalPlace;

beforeAll(async () => {
  place = await physicalPlace();
  await place.configure(`
clusters: { infra: { server: { host: db }, wal: { repository: nas } } }
policies: { infra-base: { cluster: infra, method: base, repository: nas, fullEvery: 7 } }
`);
  await place.addBase({
    id: 'infra-base-20261119-020000',
    segment: 3,
    at: '2026-11-19T02:00:05.000Z',
    more: { warnings: ['the store keeps one copy only'] },
  });
  await place.addBase({
    id: 'infra-base-20261120-020000',
    segment: 5,
    at: '2026-11-20T02:00:05.000Z',
    parent: 'infra-base-20261119-020000',
    more: { tablespaces: [{ name: 'fast', oid: 16_999, location: '/mnt/ssd/fast' }] },
  });
  await place.addBase({ id: 'lost-parent', segment: 7, at: '2026-11-18T02:00:05.000Z', parent: 'gone' });
  await place.write('infra/evidence/infra-base-20261119-020000/drill-20261119-050000-1a2b3c4d-passed.json', '{}');
  await place.write('infra/evidence/infra-base-20261119-020000/verify-20261119-020100-1a2b3c4d-passed.json', '{}');
});
afterAll(() => place.remove());

const hideDigests = (text: string) => text.replaceAll(/sha-256 [0-9a-f]{64}/g, 'sha-256 …');

describe('base backups', () => {
  test('are listed with what they build on and from when on they recover', async () => {
    const { code, stdout, stderr } = await place.run('backups', 'list');
    expect({ code, stderr }).toMatchObject({ code: 5, stderr: expect.stringContaining('repository away') });
    expectGolden(import.meta.url, 'base-backups-list.txt', stdout);
    const json = await place.run('backups', 'list', '--repository', 'nas', '--cluster', 'infra', '--json');
    expect(json.code).toBe(0);
    expect(JSON.parse(json.stdout)).toMatchObject({
      backups: [
        { id: 'infra-base-20261120-020000', method: 'base', type: 'incremental', parent: 'infra-base-20261119-020000' },
        {
          id: 'infra-base-20261119-020000',
          method: 'base',
          type: 'full',
          recoverableFrom: '2026-11-19T02:00:05.000Z',
          verification: 'passed',
          drill: 'passed',
          systemIdentifier: system,
        },
        { id: 'lost-parent', drill: 'none' },
      ],
    });
  });

  test('are shown with their place in the log, their chain and their files', async () => {
    const full = await place.run('backups', 'show', 'infra-base-20261119-020000');
    expect(full.code).toBe(0);
    expectGolden(import.meta.url, 'base-backups-show.txt', hideDigests(full.stdout));
    const increment = await place.run('backups', 'show', 'latest', '--cluster', 'infra');
    expect(increment.stdout).toContain('chain      infra-base-20261119-020000 → infra-base-20261120-020000');
    expect(increment.stdout).toMatch(/fast +16999 +\/mnt\/ssd\/fast/);
    expect(increment.stdout).not.toContain('without Holdfast');
    const { stdout } = await place.run('backups', 'show', 'lost-parent');
    expect(stdout).toContain("NOT USABLE: its chain is broken: 'gone', which 'lost-parent' builds on, is gone");
    const json = await place.run('backups', 'show', 'infra-base-20261119-020000', '--json');
    expect(JSON.parse(json.stdout)).toMatchObject({
      repository: 'nas',
      drill: 'passed',
      manifest: { method: 'base', startLsn: '0/3000028' },
    });
  });

  test('are read back by their digests, and what that does not show is said', async () => {
    const whole = await place.run('backups', 'verify', 'infra-base-20261120-020000');
    expect(whole.code).toBe(0);
    expect(whole.stdout).toMatch(/^passed {2}infra-base-20261120-020000: \d+ B stored, 1\.1 kB unpacked, in 0\.0 s\n$/);
    expect(whole.stderr).toContain('note: the backup that it builds on, infra-base-20261119-020000, was not read');
    expect(whole.stderr).toContain("'holdfast drill infra-base' does");
    const key = `infra/physical/${system}/infra-base-20261120-020000/base.tar.gz`;
    await appendFile(join(place.directory, key), 'x');
    const damaged = await place.run('backups', 'verify', 'infra-base-20261120-020000', '--json');
    expect(damaged.code).toBe(8);
    expect(JSON.parse(damaged.stdout)).toMatchObject({
      method: 'base',
      outcome: 'failed',
      damage: [expect.stringContaining(key)],
    });
  });
});
