import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { parseUsableConfig } from '../../../src/domain/config.ts';
import { configure } from '../../../src/kubernetes/discovery/configuration.ts';
import { discover } from '../../../src/kubernetes/discovery/discover.ts';
import { yamlOf } from '../../../src/kubernetes/discovery/yaml.ts';
import { expectGolden } from '../../golden.ts';
import { fixtureNames, listedFrom, namespacesOf, objectsOf } from './manifests.ts';

const found = (name: string) => discover(listedFrom(objectsOf(name)));
const printed = (name: string) => yamlOf(configure(found(name)), namespacesOf(objectsOf(name)));

describe('what is found', () => {
  test.each(fixtureNames)('in %s is printed as a configuration that is valid as it is', (name) => {
    const text = printed(name);
    expectGolden(import.meta.url, `${name}.yaml`, text);
    const { clusters, policies } = parseUsableConfig(parse(text));
    const { configuration } = configure(found(name));
    expect(Object.keys(clusters)).toEqual(Object.keys(configuration.clusters));
    expect(Object.keys(policies)).toEqual(Object.keys(configuration.policies));
  });

  test.each(fixtureNames)('in %s is the same in whatever order it was listed', (name) => {
    const backwards = configure(discover(listedFrom([...objectsOf(name)].reverse())));
    expect(yamlOf(backwards, namespacesOf(objectsOf(name)))).toBe(printed(name));
  });

  test.each(['deployment', 'passwords'])('in %s never shows a password that is written out', (name) => {
    expect(printed(name)).not.toMatch(/hunter2/);
    expect(JSON.stringify(configure(found(name)))).not.toMatch(/hunter2/);
  });

  test('is valid, too, where what is commented out is taken in', () => {
    const uncommented = (name: string) =>
      printed(name)
        .replace('clusters: {}', 'clusters:')
        .replaceAll(/^ {2}# ((?: {2})*[a-z][A-Za-z0-9-]*:(?: \S+)?)$/gm, '  $1');
    const bucket = parseUsableConfig(
      parse(uncommented('cnpg-plugin').replace('  backup:\n    directory: /backup\n', '')),
    );
    expect(bucket.repositories['backup']?.s3).toMatchObject({ bucket: 'logto-backups', prefix: 'holdfast' });
    const { clusters } = parseUsableConfig(parse(uncommented('deployment')));
    expect(clusters['wiki-db']?.server).toMatchObject({ host: 'wiki-db.wiki.svc', port: 5433, user: 'wiki' });
  });

  test('names what of CloudNativePG this version does not understand', () => {
    expect(found('cnpg-in-tree').unread).toEqual([
      expect.objectContaining({
        what: 'Cluster example-api-prod/strange',
        why: expect.stringContaining('spec.instances') as unknown,
      }),
    ]);
  });
});
