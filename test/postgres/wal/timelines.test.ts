import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { startS3, type S3Server } from '../../../parts/s3-server.ts';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { parseHistory } from '../../../src/domain/timeline.ts';
import type { WalReport } from '../../../src/postgres/wal/receive.ts';
import { readTrailer } from '../../../src/storage/wal/read.ts';
import { newSpec, openMarked } from '../../storage/s3-scratch.ts';
import {
  archive,
  catchUp,
  compareWithServer,
  expectNoGap,
  listed,
  makePlace,
  pgbench,
  stopAll,
  switchWal,
  until,
  type Place,
} from './archiving.ts';
import { makeStandby, type Standby } from './standby.ts';

let place: Place;

beforeEach(async () => {
  place = await makePlace();
});
afterEach(async () => {
  await stopAll();
  await place.close();
});

const partialsOf = async () => {
  const found: string[] = [];
  for await (const { key } of place.repository.list('')) if (key.includes('.partial.')) found.push(key);
  return found;
};

describe.each(availableMajors().filter((major) => major === 15 || major === 17))(
  'a failover of postgresql %i',
  (major) => {
    let primary: PostgresServer;
    let standby: Standby;

    beforeEach(async () => {
      primary = await startPostgres({ major, settings: { wal_keep_size: '1GB' } });
      await pgbench(primary, '-i', '-q', '-s', '2');
      standby = await makeStandby(primary);
    });
    afterEach(async () => {
      await stopAll();
      await standby.stop();
      await primary.stop('immediate');
    });

    const expectBothTimelines = async () => {
      const { segments, histories, segmentBytes } = await listed(place.repository);
      const history = await standby.psql(`SELECT pg_read_file('pg_wal/00000002.history')`);
      expect(histories.get(2)).toEqual(parseHistory(history, 'its own'));
      const switchLsn = histories.get(2)?.[0]?.switchLsn ?? 0n;
      expect(segments.get(2)?.[0]?.first).toBe(switchLsn / BigInt(segmentBytes));
      expect(segments.get(1)?.at(-1)?.last).toBe(switchLsn / BigInt(segmentBytes) - 1n);
      await expectNoGap(place.repository);
      // A timeline that was left right at a segment's end has nothing that is only a part.
      const partials = await partialsOf();
      expect(partials).toHaveLength(switchLsn % BigInt(segmentBytes) === 0n ? 0 : 1);
      for (const partial of partials) {
        const { signal } = new AbortController();
        const { trailer } = await readTrailer({ repository: place.repository, signal }, partial);
        expect(trailer.endLsn).not.toBeNull();
      }
      return switchLsn;
    };

    it('is followed to the new primary: history first, the rest of the old timeline as a partial segment', async () => {
      await catchUp(primary, place.repository);
      await pgbench(primary, '-i', '-q', '-s', '2');
      await primary.psql('postgres', 'CREATE TABLE last_of_the_old ()');
      const end = await primary.psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
      await until(undefined, async () => (await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${end}'`)) === 't');
      await primary.halt('immediate');
      await standby.promote();
      const standbyServer = { ...primary, ...standby, psql: (_: string, sql: string) => standby.psql(sql) };
      await standby.psql('CREATE TABLE first_of_the_new ()');
      const result = await catchUp(standbyServer, place.repository);
      expect(result).toMatchObject({ timeline: 2, gaps: [] });
      await expectBothTimelines();
      const again = await catchUp(standbyServer, place.repository);
      expect(again).toMatchObject({ timeline: 2, gaps: [] });
      await expectNoGap(place.repository);
    });

    it('is followed while it streams from the standby that is promoted', async () => {
      await pgbench(primary, '-i', '-q', '-s', '2');
      let report: WalReport | undefined;
      const running = await archive(standby, place.repository, { onReport: (each) => (report = each) });
      const middle = await switchWal(primary);
      await until(running, () => (report?.archivedLsn ?? 0n) >= middle);
      await primary.psql('postgres', 'CREATE TABLE last_of_the_old ()');
      const end = await primary.psql('postgres', 'SELECT pg_current_wal_flush_lsn()');
      await until(running, async () => (await standby.psql(`SELECT pg_last_wal_replay_lsn() >= '${end}'`)) === 't');
      await primary.halt('immediate');
      await standby.promote();
      const standbyServer = { ...primary, ...standby, psql: (_: string, sql: string) => standby.psql(sql) };
      const last = await switchWal(standbyServer);
      await until(running, () => (report?.archivedLsn ?? 0n) >= last);
      expect(await running.stop()).toMatchObject({ timeline: 2, gaps: [] });
      await expectBothTimelines();
    });
  },
);

describe.each([
  [1, 'a directory'],
  [64, 'a directory'],
  [16, 'a bucket'],
] as const)('segments of %i MB in %s', (size, where) => {
  let server: PostgresServer;
  let s3: S3Server | undefined;

  beforeEach(async () => {
    const settings = { wal_keep_size: '2GB', max_wal_size: '2GB' };
    server = await startPostgres({ major: 17, settings, initdb: [`--wal-segsize=${String(size)}`] });
    if (where === 'a bucket') s3 = await startS3();
  });
  afterEach(async () => {
    await stopAll();
    await server.stop();
    await s3?.stop();
    s3 = undefined;
  });

  it('are stored as the server has them', async () => {
    const repository = s3 === undefined ? place.repository : await openMarked(s3, newSpec(s3));
    // Each segment is an object of its own: small ones are many soon.
    const [before, after] = size === 1 ? ['1', '2'] : ['5', '10'];
    await pgbench(server, '-i', '-q', '-s', before);
    await catchUp(server, repository);
    let report: WalReport | undefined;
    const running = await archive(server, repository, { onReport: (each) => (report = each) });
    await pgbench(server, '-i', '-q', '-s', after);
    await until(running, () => report !== undefined);
    await running.stop();
    const result = await catchUp(server, repository);
    expect(result).toMatchObject({ segmentBytes: size * 1024 * 1024, gaps: [] });
    expect((await compareWithServer(server, repository)).length).toBeGreaterThan(size === 64 ? 2 : 5);
    await expectNoGap(repository);
    for await (const staged of repository.listStaged()) throw new Error(`${staged.key} was left staged`);
  });
});
