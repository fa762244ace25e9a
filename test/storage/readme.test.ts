import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { expect, test } from '@jest/globals';
import { readmeText } from '../../src/storage/readme.ts';
import { makeScratch } from './scratch.ts';

test('the commands of the README cut one database out of a backup and check it', () => {
  const scratch = makeScratch();
  try {
    const members = ['globals\n', 'properties of gatus\n', 'content of gatus\n', 'footer\n'].map((text) =>
      gzipSync(text),
    );
    writeFileSync(join(scratch.directory, 'NAME.sql.gz'), Buffer.concat(members));
    const offset = (members[0]?.length ?? 0) + (members[1]?.length ?? 0);
    const length = members[2]?.length ?? 0;
    const lines = readmeText.split('\n').map((line) => line.trim());
    const cut = lines.find((line) => line.startsWith('tail -c') && line.endsWith('sha256sum')) ?? '';
    const restore = (lines.find((line) => line.startsWith('tail -c') && line.endsWith('zcat \\')) ?? '').replace(
      / \\$/,
      '',
    );
    const run = (command: string) =>
      execFileSync('sh', ['-c', `OFFSET=${String(offset)} LENGTH=${String(length)}; ${command}`], {
        cwd: scratch.directory,
        encoding: 'utf8',
      });
    expect(run(cut)).toBe(
      `${createHash('sha256')
        .update(members[2] ?? '')
        .digest('hex')}  -\n`,
    );
    expect(run(restore)).toBe('content of gatus\n');
    expect(run('zcat NAME.sql.gz')).toBe('globals\nproperties of gatus\ncontent of gatus\nfooter\n');
  } finally {
    scratch.close();
  }
});

test('the README is plain text that fits a terminal', () => {
  for (const line of readmeText.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  expect(readmeText).toMatch(/^[\n\x20-\x7e]*$/);
});
