import { describe, expect, test } from '@jest/globals';
import { appliedDocument, showApplied, type Applied } from '../../src/cli/show-applied.ts';
import { parseConfig } from '../../src/domain/config.ts';
import { expectGolden } from '../golden.ts';
import { desk, outputAt } from './command-line.ts';

const config = parseConfig({
  installation: 'homelab',
  repositories: { nas: { directory: '/backup' } },
  clusters: { infra: { server: { host: 'db' }, wal: { repository: 'nas' } } },
  policies: {
    'infra-base': { cluster: 'infra', method: 'base', repository: 'nas', schedule: '0 2 * * *', drill: '0 5 * * 0' },
  },
});
const next = [new Date('2026-11-22T02:00:00Z')];
const applied: Applied = {
  schedules: [
    {
      scheduleId: 'homelab/infra-base',
      policy: 'infra-base',
      kind: 'backup',
      change: 'unchanged',
      paused: false,
      next,
    },
    {
      scheduleId: 'homelab/infra-base/drill',
      policy: 'infra-base',
      kind: 'drill',
      change: 'created',
      paused: false,
      next: [new Date('2026-11-22T05:00:00Z')],
    },
    { scheduleId: 'homelab/gone', policy: 'gone', kind: 'drill', change: 'orphaned', paused: false, next: [] },
  ],
  wal: [
    { cluster: 'infra', change: 'started' },
    { cluster: 'old', change: 'orphaned' },
    { cluster: 'older', change: 'stopped' },
  ],
  retention: [
    {
      policy: 'logto-daily',
      window: '30d',
      change: 'updated',
      place: 'Cluster production/logto, spec.backup.retentionPolicy',
      before: '7d',
      reason: null,
    },
    {
      policy: 'api-prod',
      window: '30d',
      change: 'unchanged',
      place: 'ObjectStore api/store, spec.retentionPolicy',
      before: '30d',
      reason: null,
    },
    {
      policy: 'api-dev',
      window: '7d',
      change: 'failed',
      place: null,
      before: null,
      reason: "can't read Cluster api-dev/db: forbidden (grant it in a Role)",
    },
  ],
};

describe('what apply did', () => {
  test('is shown with drills and WAL archives, and what nobody wants any more', () => {
    const here = desk();
    showApplied(outputAt(here), config, applied, []);
    expectGolden(import.meta.url, 'applied.txt', `${here.stdout.text}--- stderr\n${here.stderr.text}`);
  });

  test('is one document for programs', () => {
    expect(appliedDocument(applied, [])).toMatchObject({
      schedules: [
        { policy: 'infra-base', kind: 'backup', next: ['2026-11-22T02:00:00.000Z'] },
        { policy: 'infra-base', kind: 'drill', change: 'created' },
        { policy: 'gone', change: 'orphaned' },
      ],
      wal: [{ cluster: 'infra', change: 'started' }, {}, {}],
      retention: [{ policy: 'logto-daily', before: '7d' }, {}, { change: 'failed' }],
      queues: [],
    });
  });
});
