import { describe, expect, test } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { parse } from 'yaml';
import { parseUsableConfig } from '../../src/domain/config.ts';
import { backupSpec } from '../../src/domain/specs.ts';

const examples = new URL('../../examples/', import.meta.url);
const read = (name: string): unknown => parse(readFileSync(new URL(name, examples), 'utf8'));

const files = readdirSync(examples, { recursive: true, encoding: 'utf8' })
  .filter((name) => /^[^/]+\/holdfast[^/]*\.yaml$/.test(name))
  .sort();

describe('the examples', () => {
  test('are one for every kind of user', () => {
    expect(files).toEqual([
      'ibs/holdfast.yaml',
      'infra/holdfast.yaml',
      'jigga/holdfast.yaml',
      'logto/holdfast.dev.yaml',
      'logto/holdfast.prod.yaml',
      'ovh/holdfast.yaml',
      'server/holdfast.yaml',
    ]);
  });

  test.each(files)('%s works whole in this version', (name) => {
    expect(Object.keys(parseUsableConfig(read(name), name).clusters)).not.toEqual([]);
  });

  test('the server works whole in this version, under the names that a cron job gave its files', () => {
    const config = parseUsableConfig(read('server/holdfast.yaml'));
    expect(backupSpec(config, { policy: 'daily' })).toMatchObject({
      path: '',
      prefix: 'postgres-backup',
      keep: { last: 7 },
      compression: 'gzip',
      repository: { name: 'nas', directory: '/backup' },
    });
    expect(backupSpec(config, { policy: 'weekly' })).toMatchObject({ path: 'weekly', keep: { days: 90 } });
  });

  test.each([...new Set(files.map((name) => name.split('/')[0] ?? ''))])('%s has a README', (directory) => {
    expect(readFileSync(new URL(`${directory}/README.md`, examples), 'utf8')).toMatch(/^# \S/);
  });
});
