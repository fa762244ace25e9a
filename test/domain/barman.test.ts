import { describe, expect, test } from '@jest/globals';
import { barmanEntry, parseBackupInfo } from '../../src/domain/barman.ts';
import { quantityBytes } from '../../src/domain/quantity.ts';

const info = (more: Readonly<Record<string, string>> = {}) =>
  Object.entries({
    backup_label: "'START WAL LOCATION: 0/4000028 (file 000000010000000000000004)\\nSTART TIMELINE: 1\\n'",
    backup_name: 'backup-20261121223909',
    begin_time: '2026-11-21 22:40:11.653576+00:00',
    begin_wal: '000000010000000000000004',
    begin_xlog: '0/4000028',
    cluster_size: '31196100',
    compression: 'None',
    end_time: '2026-11-21 22:40:18.790602+00:00',
    end_wal: '000000010000000000000004',
    end_xlog: '0/4000158',
    status: 'DONE',
    systemid: '7710757928562806804',
    timeline: '1',
    xlog_segment_size: '16777216',
    ...more,
  })
    .map(([name, value]) => `${name}=${value}\n`)
    .join('');

describe('a backup.info of Barman Cloud', () => {
  test('is read as a base backup that ended no earlier than it says', () => {
    expect(parseBackupInfo(info(), '20261121T224011', 7)).toEqual({
      base: {
        id: '20261121T224011',
        object: null,
        snapshots: null,
        timeline: 1,
        beginWal: '000000010000000000000004',
        beginLsn: '0/4000028',
        endLsn: '0/4000158',
        finishedAt: '2026-11-21T22:40:18.791Z',
        systemIdentifier: '7710757928562806804',
        segmentBytes: 16_777_216,
        dataBytes: 31_196_100,
      },
    });
  });

  test('of an older Barman tells its end in another way, and its size only by what is stored uncompressed', () => {
    const old = { end_time: 'Sat Nov 21 22:40:18 2026', cluster_size: 'None', xlog_segment_size: 'None' };
    expect(parseBackupInfo(info(old), 'a', 7)).toMatchObject({
      base: { finishedAt: '2026-11-21T22:40:18.000Z', segmentBytes: null, dataBytes: 7 },
    });
    expect(parseBackupInfo(info({ ...old, compression: 'gzip' }), 'a', 7)).toMatchObject({ base: { dataBytes: null } });
  });

  test.each([
    ['that is not done', { status: 'STARTED' }],
    ['without a status', { status: 'None' }],
    ['without an end', { end_xlog: 'None' }],
    ['with an end that is no time', { end_time: 'tomorrow' }],
    ['with a timeline that is none', { timeline: 'one' }],
  ])('%s is passed over with a reason', (_, more) => {
    expect(parseBackupInfo(info(more), 'a', 7)).toEqual({ flaw: expect.any(String) });
  });
});

test.each([
  ['base/20261121T224011/backup.info', { kind: 'info', id: '20261121T224011' }],
  ['base/20261121T224011/data.tar.gz', { kind: 'data', id: '20261121T224011' }],
  ['wals/0000000100000000/000000010000000000000004', { kind: 'segment', segment: '000000010000000000000004' }],
  ['wals/0000000100000000/000000010000000000000004.gz', { kind: 'segment', segment: '000000010000000000000004' }],
  ['wals/0000000100000000/000000010000000000000004.00000028.backup.gz', { kind: 'other' }],
  ['wals/0000000100000000/000000010000000000000004.partial', { kind: 'other' }],
  ['wals/0000000A.history.gz', { kind: 'history', timeline: 10, compression: 'gz' }],
  ['wals/00000002.history', { kind: 'history', timeline: 2, compression: '' }],
])('%s in the store is told from the rest', (key, entry) => {
  expect(barmanEntry(key)).toEqual(entry);
});

test.each([
  ['20Gi', 20 * 2 ** 30],
  ['1.5G', 1_500_000_000],
  ['500Mi', 500 * 2 ** 20],
  ['1024', 1024],
  ['1e9', 1e9],
  ['100m', null],
  ['20 Gi', null],
  ['-1Gi', null],
])('the quantity %s is %p bytes', (text, bytes) => {
  expect(quantityBytes(text)).toBe(bytes);
});
