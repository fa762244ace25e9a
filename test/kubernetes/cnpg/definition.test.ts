import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeScratch } from '../../../parts/scratch.ts';
import { definitionInFile } from '../../../src/kubernetes/cnpg/definition.ts';

const manifests = `
apiVersion: barmancloud.cnpg.io/v1
kind: ObjectStore
metadata: { name: logto }
spec: { configuration: { destinationPath: s3://backups/ } }
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: { name: other }
spec: { instances: 1 }
---
apiVersion: postgresql.cnpg.io/v1
kind: Cluster
metadata: { name: logto, namespace: somewhere }
spec: { instances: 3, storage: { size: 20Gi } }
`;

describe('the manifests of a Cluster that is gone', () => {
  let directory: string;
  beforeAll(async () => {
    directory = await makeScratch('manifests');
  });
  afterAll(() => rm(directory, { recursive: true, force: true }));
  const at = { namespace: 'production', name: 'logto' };
  const written = async (text: string) => {
    const file = join(directory, 'cluster.yaml');
    await writeFile(file, text);
    return file;
  };

  test('give the spec of the one with its name, for the namespace that the configuration says', async () => {
    expect(await definitionInFile(await written(manifests), at)).toEqual({
      ...at,
      spec: { instances: 3, storage: { size: '20Gi' } },
    });
  });

  test.each([
    ['without it', 'kind: Cluster', 'holds no Cluster named logto'],
    ['that are empty', '', 'holds no Cluster named logto'],
    ['that are no YAML', 'a: [', 'is no YAML'],
  ])('%s are refused by the name of the file', async (_, text, what) => {
    await expect(definitionInFile(await written(text), at)).rejects.toMatchObject({
      type: 'ConfigurationInvalid',
      message: expect.stringContaining(what),
    });
  });

  test('that are not there are, too', async () => {
    await expect(definitionInFile(join(directory, 'none.yaml'), at)).rejects.toMatchObject({
      type: 'ConfigurationInvalid',
      message: expect.stringContaining("can't be read"),
    });
  });
});
