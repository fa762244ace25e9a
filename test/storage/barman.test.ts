import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { startS3, type S3Server } from '../../parts/s3-server.ts';
import type { BarmanPlace } from '../../src/domain/cnpg-definition.ts';
import type { SecretReference } from '../../src/domain/config.ts';
import { isBarmanPathTaken, readBarmanStore } from '../../src/storage/barman.ts';

const info = (id: number) =>
  [
    'begin_wal=000000010000000000000004',
    'begin_xlog=0/4000028',
    `end_time=2026-11-${String(id)} 02:00:18.790602+00:00`,
    'end_xlog=0/4000158',
    'status=DONE',
    'systemid=7710757928562806804',
    'timeline=1',
    'xlog_segment_size=16777216',
    'cluster_size=31196100',
  ].join('\n');

describe('an object store that Barman Cloud writes', () => {
  let server: S3Server;
  let place: BarmanPlace;
  const key = (name: string) => ({ name: 'creds', key: name });
  const secrets = ({ key: name = '' }: SecretReference) =>
    Promise.resolve(name === 'ID' ? server.accessKeyId : server.secretAccessKey);
  const put = async (name: string, body: string | Uint8Array) => {
    const client = server.client();
    await client.putObject({ Bucket: server.bucket, Key: `production/${name}`, Body: body });
    client.destroy();
  };

  beforeAll(async () => {
    server = await startS3();
    place = {
      bucket: server.bucket,
      prefix: 'production',
      endpoint: server.endpoint,
      accessKeyId: key('ID'),
      secretAccessKey: key('SECRET'),
      sessionToken: null,
      region: null,
    };
    const first = 'logto/wals/0000000100000000';
    for (const segment of ['04', '05', '06', '09'])
      await put(`${first}/0000000100000000000000${segment}.gz`, 'a segment');
    await put(`${first}/000000010000000000000004.00000028.backup.gz`, 'a label');
    await put('logto/wals/0000000200000000/000000020000000000000006', 'a segment');
    await put('logto/wals/00000002.history.gz', gzipSync('1\t0/6000200\tno recovery target specified\n'));
    await put('logto/wals/00000003.history.snappy', 'who knows');
    await put('logto/base/20261120T020000/backup.info', info(20));
    await put('logto/base/20261120T020000/data.tar', 'data');
    await put('logto/base/20261121T020000/backup.info', `${info(21)}\nstatus=STARTED`);
    await put('logto2/wals/0000000100000000/000000010000000000000001', "another cluster's");
  });
  afterAll(() => server.stop());

  test('tells the base backups of a server name that are done, its WAL with the holes, and its timelines', async () => {
    const { bases, flaws, wal } = await readBarmanStore(place, 'logto', secrets);
    expect(bases.map(({ id, finishedAt, dataBytes }) => [id, finishedAt, dataBytes])).toEqual([
      ['20261120T020000', '2026-11-20T02:00:18.791Z', 31_196_100],
    ]);
    expect(flaws).toEqual([
      "base backup 20261121T020000 can't be used: it is not done: status STARTED",
      "00000003.history is compressed by snappy, which Holdfast can't unpack",
    ]);
    expect([...wal.archive.segments]).toEqual([
      [
        1,
        [
          { first: 4n, last: 6n },
          { first: 9n, last: 9n },
        ],
      ],
      [2, [{ first: 6n, last: 6n }]],
    ]);
    expect([...wal.archive.histories]).toEqual([[2, [{ timeline: 1, switchLsn: 0x6000200n }]]]);
    expect([...wal.storedAt.keys()]).toEqual([
      '000000010000000000000006',
      '000000010000000000000009',
      '000000020000000000000006',
    ]);
  });

  test('has nothing of a server name that never archived', async () => {
    expect(await readBarmanStore(place, 'log', secrets)).toMatchObject({ bases: [], flaws: [] });
    expect(await isBarmanPathTaken(place, 'log', secrets)).toBe(false);
    expect(await isBarmanPathTaken(place, 'logto2', secrets)).toBe(true);
  });

  test('that is not there is named', async () => {
    await expect(readBarmanStore({ ...place, bucket: 'nobodys' }, 'logto', secrets)).rejects.toMatchObject({
      type: 'StoreNotMounted',
      message: expect.stringContaining('there is no bucket nobodys'),
    });
  });
});
