import { describe, expect, test } from '@jest/globals';
import { readableLog } from '../../src/domain/cnpg-log.ts';
import { recoveryStanding, type SeenPod, type SeenRecovery } from '../../src/domain/cnpg-recovery-standing.ts';

const pod = (more: Partial<SeenPod> = {}): SeenPod => ({
  name: 'copy-1-full-recovery-x',
  recovers: true,
  phase: 'Running',
  waiting: null,
  unschedulable: null,
  log: [],
  ...more,
});
const seen = (more: Partial<SeenRecovery> = {}): SeenRecovery => ({
  what: 'Cluster production/copy',
  phase: 'Setting up primary',
  reason: null,
  healthy: false,
  dead: false,
  pods: [],
  claims: [],
  warnings: [],
  ...more,
});

describe('a Cluster that is being recovered', () => {
  test('is done once it is healthy', () => {
    expect(recoveryStanding(seen({ healthy: true }))).toEqual({ kind: 'done' });
  });

  test('says how far its log has come', () => {
    const log = ['Starting up instance', 'LOG: restored log file "000000010000000000000005" from archive'];
    expect(recoveryStanding(seen({ pods: [pod({ log })] }))).toEqual({
      kind: 'going',
      doing: 'copy-1-full-recovery-x running: LOG: restored log file "000000010000000000000005" from archive',
      stuck: null,
    });
  });

  test.each([
    ['FATAL: recovery ended before configured recovery target was reached', 'RestoreFailed', 'target was not reached'],
    ['FATAL: could not write to file "pg_wal/x": No space left on device', 'StoreFull', 'its volume is full'],
    ['ERROR: WAL archive check failed for server copy: Expected empty archive', 'NameTaken', 'is not empty'],
    [
      'ERROR: encountered an error while checking the presence of first needed WAL in the archive: not found',
      'WalMissing',
      'the WAL that its base backup begins with',
    ],
    ['ERROR: no backup found with ID 20261121T020000', 'NoSuchBackup', 'is not in the object store any more'],
  ])('whose pod fell with "%s" fails at once as %s, with the end of the log', (line, type, what) => {
    const log = ['Starting up instance', line];
    expect(recoveryStanding(seen({ pods: [pod({ phase: 'Failed', log }), pod({ name: 'next' })] }))).toEqual({
      kind: 'failed',
      type,
      what: expect.stringMatching(new RegExp(`^Cluster production/copy: .*${what}.*; the end of its log: .*`)),
      hint: expect.any(String),
    });
  });

  test('whose pod still runs is not judged by its log: the Job’s own words come when it falls', () => {
    const log = ['LOG: recovery ended before configured recovery target was reached'];
    expect(recoveryStanding(seen({ pods: [pod({ log })] })).kind).toBe('going');
  });

  test('whose pods fall one after the other, for a reason nobody knows, fails at the third', () => {
    const fallen = pod({ phase: 'Failed', log: ['ERROR: something new'] });
    expect(recoveryStanding(seen({ pods: [fallen, fallen] })).kind).toBe('going');
    expect(recoveryStanding(seen({ pods: [fallen, fallen, fallen] }))).toMatchObject({
      kind: 'failed',
      type: 'RestoreFailed',
      what: "Cluster production/copy can't be recovered: 3 pods of its Job failed; the end of its log: ERROR: something new",
    });
  });

  test('that CloudNativePG itself has given up fails with its words', () => {
    const dead = {
      dead: true,
      phase: 'Cluster is unrecoverable and needs manual intervention',
      reason: 'the job failed',
    };
    expect(recoveryStanding(seen(dead))).toMatchObject({
      kind: 'failed',
      what: expect.stringContaining('needs manual intervention (the job failed)'),
    });
  });

  test.each([
    [
      'an image that can’t be pulled',
      { pods: [pod({ phase: 'Pending', waiting: { reason: 'ImagePullBackOff', message: 'no such image' } })] },
      2,
      'ImagePullBackOff, no such image',
    ],
    [
      'a Secret that is missing',
      {
        pods: [
          pod({ phase: 'Pending', waiting: { reason: 'CreateContainerConfigError', message: 'secret "a" not found' } }),
        ],
      },
      3,
      'secret "a" not found',
    ],
    [
      'a node',
      { pods: [pod({ phase: 'Pending', unschedulable: '0/1 nodes are available' })] },
      10,
      'no node takes pod',
    ],
    [
      'a volume',
      { claims: [{ name: 'copy-1', phase: 'Pending' }], warnings: ['ProvisioningFailed: no such class'] },
      10,
      'volume claim copy-1 is Pending: ProvisioningFailed: no such class',
    ],
    ['its operator', { warnings: ['FailedCreate: exceeded quota: small'] }, 10, 'FailedCreate: exceeded quota: small'],
  ])('that waits for %s says so, and for how long that may be', (_, more, minutes, what) => {
    expect(recoveryStanding(seen(more))).toMatchObject({
      kind: 'going',
      stuck: { what: expect.stringContaining(what), afterMs: minutes * 60_000 },
    });
  });
});

test('lines of CloudNativePG’s logs are shown as people read them', () => {
  const text = [
    '{"level":"info","ts":"2026","msg":"Restore completed","logging_pod":"copy-1-full-recovery"}',
    '{"level":"error","ts":"2026","msg":"Error while restoring a backup","error":"no target backup found"}',
    '{"level":"info","logger":"postgres","msg":"record","record":{"error_severity":"LOG","message":"redo done at 0/600BCB8"}}',
    '{"level":"info","logger":"postgres","msg":"record","record":{"error_severity":"FATAL","message":"no","detail":"because"}}',
    'plain text',
    '',
  ].join('\n');
  expect(readableLog(text)).toEqual([
    'Restore completed',
    'ERROR: Error while restoring a backup: no target backup found',
    'LOG: redo done at 0/600BCB8',
    'FATAL: no: because',
    'plain text',
  ]);
});
