import { describe, expect, test } from '@jest/globals';
import type { CnpgWindow } from '../../src/cli/cnpg-windows.ts';
import { showCnpgClusters } from '../../src/cli/show-cnpg.ts';
import { showWindows, windowsDocument } from '../../src/cli/show-window.ts';
import { HoldfastError } from '../../src/domain/errors.ts';
import { expectGolden } from '../golden.ts';
import { desk, outputAt } from './command-line.ts';

const found: readonly CnpgWindow[] = [
  {
    cluster: 'logto',
    place: 'production/logto-postgres',
    way: { method: 'barmanObjectStore' },
    since: '2026-10-22T00:00:11Z',
    lastBackupAt: '2026-11-21T00:00:31Z',
    archiving: { works: true, message: 'Continuous archiving is working' },
  },
  {
    cluster: 'api-prod',
    place: 'example-api-prod/db',
    way: { method: 'plugin', plugin: 'barman-cloud.cloudnative-pg.io' },
    since: null,
    lastBackupAt: null,
    archiving: { works: false, message: 'unexpected failure invoking barman-cloud-wal-archive: exit status 4' },
  },
  { cluster: 'api-dev', place: 'example-api-dev/db', way: null, since: null, lastBackupAt: null, archiving: null },
  {
    cluster: 'lab',
    place: 'lab/db',
    error: new HoldfastError('KubernetesRefused', "can't read Cluster lab/db: forbidden", 'grant it in a Role'),
  },
];

describe('the window of a cluster of CloudNativePG', () => {
  test('is what CloudNativePG says of itself', () => {
    const here = desk();
    showWindows(outputAt(here), { clusters: [], unreachable: [] }, found, new Date('2026-11-21T12:00:00Z'));
    expectGolden(import.meta.url, 'cnpg-window.txt', `${here.stdout.text}--- stderr\n${here.stderr.text}`);
  });

  test('is a line of the status of all', () => {
    const here = desk();
    showCnpgClusters(outputAt(here), found, Date.parse('2026-11-21T12:00:00Z'));
    showCnpgClusters(outputAt(here), [], 0);
    expectGolden(import.meta.url, 'cnpg-status.txt', `${here.stdout.text}--- stderr\n${here.stderr.text}`);
  });

  test('is told to programs', () => {
    expect(windowsDocument({ clusters: [], unreachable: [] }, found).cnpg).toMatchObject([
      { cluster: 'logto', since: '2026-10-22T00:00:11Z' },
      { cluster: 'api-prod', since: null, archiving: { works: false } },
      { cluster: 'api-dev', way: null },
      { cluster: 'lab', error: { type: 'KubernetesRefused', hint: 'grant it in a Role' } },
    ]);
  });
});
