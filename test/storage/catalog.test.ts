import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { drillKey, verificationKey } from '../../src/domain/evidence.ts';
import { readCatalog } from '../../src/storage/catalog.ts';
import { openDirectory } from '../../src/storage/directory.ts';
import { initialiseDirectory } from '../../src/storage/initialise.ts';
import type { Repository } from '../../src/storage/repository.ts';
import { manifest } from '../domain/samples.ts';
import { bytes, never, owner } from './contract.ts';
import { makeScratch, type Scratch } from './scratch.ts';

describe('the catalog', () => {
  let scratch: Scratch;
  let repository: Repository;
  const put = (key: string, value: unknown) => repository.put(key, owner(), bytes(JSON.stringify(value)), never);
  beforeEach(async () => {
    scratch = makeScratch();
    await initialiseDirectory({ directory: scratch.directory, now: new Date('2026-11-21T02:00:00Z') });
    repository = openDirectory({ directory: scratch.directory });
  });
  afterEach(() => {
    scratch.close();
  });

  test('joins each backup with its newest verification and its newest drill', async () => {
    const at = (hour: number) => new Date(Date.UTC(2026, 10, 21, hour));
    for (const id of ['b1', 'b2', 'b3'])
      await put(`jigga/logical/${id}.manifest.json`, manifest({ id, objects: [], parts: [] }));
    await put(drillKey('jigga', 'b1', at(3), 'aa', 'failed'), {});
    await put(drillKey('jigga', 'b1', at(4), 'bb', 'passed'), {});
    await put(verificationKey('jigga', 'b1', at(5), 'cc', 'failed'), {});
    await put(drillKey('jigga', 'b2', at(3), 'dd', 'failed'), {});
    await put(drillKey('other', 'b3', at(3), 'ee', 'passed'), {});
    const { backups } = await readCatalog(repository);
    const found = backups.map(({ manifest: { id }, verification, drill }) => [id, verification, drill] as const);
    expect(found.toSorted()).toEqual([
      ['b1', 'failed', 'passed'],
      ['b2', 'none', 'failed'],
      ['b3', 'none', 'none'],
    ]);
  });
});
