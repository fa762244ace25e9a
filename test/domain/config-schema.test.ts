import { describe, expect, test } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { configJsonSchema, parseConfig, policyPath, policyPrefix } from '../../src/domain/config.ts';
import { lookUp } from '../../src/domain/explain.ts';

const committed = readFileSync(new URL('../../holdfast.schema.json', import.meta.url), 'utf8');

describe('the JSON Schema', () => {
  test("that is committed is the one of the code; 'npm run schema' writes it", () => {
    expect(committed).toBe(`${JSON.stringify(configJsonSchema(), null, 2)}\n`);
  });

  test('tells editors the rule of names, of keys as of values', () => {
    const schema: unknown = JSON.parse(committed);
    const rule = '^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$';
    for (const table of ['repositories', 'clusters', 'policies'])
      expect(lookUp(schema, ['properties', table, 'propertyNames', 'pattern'])).toBe(rule);
    expect(lookUp(schema, ['properties', 'installation', 'pattern'])).toBe(rule);
  });

  test('tells editors what only a refinement knows: exactly one kind, five fields, durations', () => {
    const schema: unknown = JSON.parse(committed);
    const cluster = lookUp(schema, ['properties', 'clusters', 'additionalProperties']);
    const policy = lookUp(schema, ['properties', 'policies', 'additionalProperties', 'properties']);
    expect(lookUp(cluster, ['oneOf'])).toHaveLength(3);
    expect(lookUp(policy, ['schedule', 'pattern'])).toBe('^\\s*\\S+(\\s+\\S+){4}\\s*$');
    expect(lookUp(policy, ['catchup', 'pattern'])).toBe('^[1-9][0-9]{0,5}[smhdw]$');
    expect(committed).not.toContain('starts_with');
  });
});

describe('a policy', () => {
  const { policies } = parseConfig({
    installation: 'homelab',
    repositories: { nas: { directory: '/backup' } },
    clusters: { jigga: { server: { host: '/var/run/postgresql' } } },
    policies: {
      plain: { cluster: 'jigga', method: 'pg_dumpall', repository: 'nas' },
      placed: { cluster: 'jigga', method: 'pg_dumpall', repository: 'nas', path: '', prefix: 'postgres-backup' },
    },
  });
  const [plain, placed] = [policies['plain'], policies['placed']];
  if (!plain || !placed) throw new Error('the policies above');

  test('without path and prefix writes below its cluster, under its own name', () => {
    expect([policyPath(plain), policyPrefix('plain', plain)]).toEqual(['jigga/logical', 'plain']);
  });

  test('may write at the top of the repository', () => {
    expect([policyPath(placed), policyPrefix('placed', placed)]).toEqual(['', 'postgres-backup']);
  });
});
