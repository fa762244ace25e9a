import { describe, expect, test } from '@jest/globals';
import { readArchiving } from '../../src/cli/moving.ts';
import { archivingLines, showArchives } from '../../src/cli/show-archives.ts';
import type { ArchiveState } from '../../src/cli/survey.ts';
import { expectGolden } from '../golden.ts';
import { desk, outputAt } from './command-line.ts';

const beat = (heartbeat: unknown, more: object = {}) => ({ activity: 'streamWal', attempt: 1, heartbeat, ...more });
const streaming = beat({
  doing: 'streaming the log of infra',
  archivedLsn: '0/3000000',
  lagBytes: 4_200_000,
  lagSeconds: 12,
  retentionLeftBytes: 10_000_000_000,
  warnings: [],
});
const state = (cluster: string, more: Partial<ArchiveState> = {}): ArchiveState => ({
  cluster,
  run: `wal/${cluster}`,
  archiving: readArchiving([streaming]),
  standing: null,
  ...more,
});

describe('how far WAL archives are', () => {
  test('is a line for each cluster, and what is wrong below', () => {
    const here = desk();
    showArchives(outputAt(here), [
      state('infra'),
      state('fresh', { archiving: readArchiving([beat(undefined)]) }),
      state('off', { run: null, archiving: undefined }),
      state('stuck', {
        archiving: undefined,
        standing: '**NOT ARCHIVING** (3 failures in a row): 2026-11-21T12:00:00Z: no route to host\n- gap: none',
      }),
      state('idle', { archiving: undefined }),
      state('warned', {
        archiving: readArchiving([
          beat({ archivedLsn: '0/1', lagBytes: 0, warnings: ['the slot keeps WAL without end'] }),
        ]),
      }),
    ]);
    expectGolden(import.meta.url, 'status-archives.txt', `${here.stdout.text}--- stderr\n${here.stderr.text}`);
  });

  test('a cluster without any says nothing', () => {
    const here = desk();
    showArchives(outputAt(here), []);
    expect(here.stdout.text).toBe('');
  });

  test('is read from heartbeats of any worker: what does not fit is left out', () => {
    expect(readArchiving([])).toBeUndefined();
    expect(readArchiving([beat(null), streaming])).toMatchObject({ archivedLsn: '0/3000000', lagSeconds: 12 });
    expect(readArchiving([beat({ archivedLsn: null, lagBytes: -1, lagSeconds: 'x', warnings: [1, 'w'] })])).toEqual({
      failure: undefined,
      doing: undefined,
      archivedLsn: undefined,
      lagBytes: undefined,
      lagSeconds: undefined,
      retentionLeftBytes: undefined,
      warnings: ['w'],
    });
  });

  test('of one archive is said in words', () => {
    const archiving = readArchiving([{ ...streaming, attempt: 2, failure: 'the server closed the connection' }]);
    if (!archiving) throw new Error('nothing read');
    expect(archivingLines(archiving)).toEqual([
      'doing: streaming the log of infra',
      'archived to 0/3000000, 4.2 MB, 12 s behind the server',
      'the server keeps 10 GB more for the slot before it gives it up',
      'the last attempt failed: the server closed the connection; it goes on trying',
    ]);
  });
});
