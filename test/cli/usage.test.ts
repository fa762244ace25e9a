import { describe, expect, test } from '@jest/globals';
import { expectGolden } from '../golden.ts';
import { holdfast } from './command-line.ts';

/** None of these may get as far as Temporal: nobody listens where this points. */
const environment = { TEMPORAL_ADDRESS: '127.0.0.1:1' };

const mistakes = [
  ['bakup'],
  ['backup'],
  ['backup', 'a', 'b'],
  ['backup', 'jigga-daily', '--nope'],
  ['backup', '../../etc/passwd'],
  ['backups'],
  ['backups', 'lst'],
  ['config'],
  ['prune', 'Jigga Daily', '--dry-run'],
  ['restore'],
  ['restore', 'jigga'],
  ['restore', '--cluster', 'jigga', '--properties', 'both'],
  ['restore', '--cluster', 'jigga', '--into', 'copy'],
  ['restore', '--cluster', 'jigga', '--backup', '../../etc/passwd'],
  ['restore', '--cluster', 'jigga', '--database', 'x'.repeat(64)],
  ['restore', 'undo', 'restore/jigga/1a2b3c4d'],
  ['restore', 'undo', 'restore/jigga/1a2b3c4d', '--reason', 'why', '--backup', 'latest'],
  ['recover'],
  ['recover', '--cluster', 'infra'],
  ['recover', '--cluster', 'infra', '--time', '2026-11-21T14:00:00'],
  ['recover', '--cluster', 'infra', '--time', '2026-02-30T14:00:00Z'],
  ['recover', '--cluster', 'infra', '--lsn', '0/1', '--xid', '5'],
  ['recover', '--cluster', 'infra', '--xid', '0x1F'],
  ['recover', '--cluster', 'infra', '--latest', '--exclusive'],
  ['recover', '--cluster', 'infra', '--latest', '--timeline', '0'],
  ['recover', '--cluster', 'infra', '--latest', '--in-place', '--port', '5444'],
  ['recover', '--cluster', 'infra', '--latest', '--port', '80'],
  ['recover', '--cluster', 'infra', '--latest', '--directory', 'copy'],
  ['recover', '--cluster', 'infra', '--latest', '--tablespace', 'fast'],
  ['recover', '--cluster', 'infra', '--latest', '--tablespace', 'fast=/srv/a', '--tablespace', 'fast=/srv/b'],
  ['recover', '--cluster', 'infra', '--latest', '--tablespace', 'fast=/srv/a', '--directory', '/srv'],
  ['recover', 'promote', 'recover/infra/1a2b3c4d'],
  ['recover', 'promote', 'recover/infra/1a2b3c4d', '--reason', 'why', '--latest'],
  ['recover', '--in-place', 'undo', 'recover/infra/1a2b3c4d', '--reason', 'why'],
  ['recover', 'go-on', 'recover/infra/1a2b3c4d', '--reason', 'why'],
  ['recover', 'go-on', 'recover/infra/1a2b3c4d', '--reason', 'why', '--cluster', 'infra', '--latest'],
  ['recover', 'go-on', 'recover/infra/1a2b3c4d', '--reason', 'why', '--time', 'soon'],
  ['drill'],
  ['drill', 'Jigga Daily'],
  ['window', 'infra', 'jigga'],
  ['approve', 'restore/jigga/1a2b3c4d'],
  ['approve', 'restore/jigga/1a2b3c4d', '--reason', ' '],
  ['approve', 'restore/jigga/1a2b3c4d', '--reason', 'why', '--plan', 'a1b2'],
  ['approve', 'restore/jigga/1a2b3c4d', '--reason', 'why'],
  ['reject', "it's", '--reason', 'why'],
  ['worker', '--slots', '0'],
  ['worker', '--health', '8080'],
  ['worker', '--site', 'Tokyo'],
  ['worker', '--grace', 'long'],
  ['worker', '--log-level', 'loud'],
  ['worker', '--instances-user', ' '],
] as const;

describe('wrong usage', () => {
  test('is said in two lines, with exit code 2, before anything is connected to', async () => {
    const told: string[] = [];
    for (const argv of mistakes) {
      const { code, stdout, stderr } = await holdfast(argv, { environment });
      expect({ argv, code, stdout, lines: stderr.trimEnd().split('\n').length }).toEqual({
        argv,
        code: 2,
        stdout: '',
        lines: 2,
      });
      told.push(`$ holdfast ${argv.join(' ')}\n${stderr}`);
    }
    expectGolden(import.meta.url, 'usage.txt', told.join('\n'));
  });

  test('is JSON on stderr with --json, also when the command line itself is wrong', async () => {
    for (const argv of [
      ['backup', '--json'],
      ['--json', 'nope'],
      ['restore', '--cluster', 'X', '--json'],
    ]) {
      const { code, stdout, stderr } = await holdfast(argv, { environment });
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(JSON.parse(stderr)).toEqual({
        error: { type: 'InvalidArgument', message: expect.any(String), hint: expect.any(String) },
      });
    }
  });

  test('what was typed never reaches the terminal raw', async () => {
    const { stderr } = await holdfast(['backup', '\u001b[2Jx\u202e\u0007'], { environment });
    expect(stderr).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
  });

  test('nobody who decides has no name', async () => {
    const argv = ['approve', 'r', '--reason', 'why', '--plan', 'a1b2c3d4e5f6'];
    const { code, stderr } = await holdfast(argv, { environment, userName: '' });
    expect(code).toBe(2);
    expect(stderr).toContain('give --by NAME');
  });
});

describe('a Temporal server that is not there', () => {
  test('ends with exit code 5 and says how to name another', async () => {
    const { code, stderr } = await holdfast(['cancel', 'backup/x/1'], { environment });
    expect(code).toBe(5);
    expect(stderr).toContain('no Temporal server answers at 127.0.0.1:1');
    expect(stderr).toContain('  hint: ');
  });
});
