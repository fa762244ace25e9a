import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { WalReport } from '../../../src/postgres/wal/receive.ts';
import { removeSlot } from '../../../src/postgres/wal/slot.ts';
import { addressOf } from '../swap/pair.ts';
import {
  archive,
  catchUp,
  compareWithServer,
  currentLsn,
  expectNoGap,
  makePlace,
  pgbench,
  slot,
  stopAll,
  switchWal,
  until,
  type Place,
} from './archiving.ts';

describe.each(availableMajors().filter((major) => major === 15 || major === 17))(
  'archiving the log of postgresql %i',
  (major) => {
    let server: PostgresServer;
    let place: Place;

    beforeAll(async () => {
      server = await startPostgres({ major, settings: { wal_keep_size: '2GB', max_wal_size: '2GB' } });
      await pgbench(server, '-i', '-q', '-s', '5');
    });
    afterAll(() => server.stop());
    beforeEach(async () => {
      place = await makePlace();
    });
    afterEach(async () => {
      await stopAll();
      await removeSlot(addressOf(server), slot);
      await place.close();
    });

    it('stores every segment as the server has it, while pgbench writes', async () => {
      const reports: WalReport[] = [];
      const running = await archive(server, place.repository, { onReport: (report) => reports.push(report) });
      await until(running, () => reports.length > 0);
      for (let round = 0; round < 3; round += 1) {
        await pgbench(server, '-c', '4', '-t', '500', '-n');
        await pgbench(server, '-i', '-q', '-s', '3');
      }
      const end = await switchWal(server);
      await until(running, () => (reports.at(-1)?.archivedLsn ?? 0n) >= end);
      const result = await running.stop();
      expect(result).toMatchObject({ timeline: 1, archivedLsn: end, gaps: [] });
      const names = await compareWithServer(server, place.repository);
      expect(names).toHaveLength(result.segments);
      expect(result.segments).toBeGreaterThan(5);
      await expectNoGap(place.repository);
      expect(reports.at(-1)).toMatchObject({ slot: { name: slot, walStatus: 'reserved' }, warnings: [] });
    });

    it('goes on where the last call stopped', async () => {
      await catchUp(server, place.repository);
      await pgbench(server, '-i', '-q', '-s', '2');
      const second = await catchUp(server, place.repository);
      expect(second.segments).toBeGreaterThan(0);
      await pgbench(server, '-i', '-q', '-s', '2');
      await catchUp(server, place.repository);
      await compareWithServer(server, place.repository);
      await expectNoGap(place.repository);
    });

    it('confirms to the server what is stored, and no more', async () => {
      const { archivedLsn } = await catchUp(server, place.repository);
      const restart = await server.psql(
        'postgres',
        `SELECT restart_lsn = '${lsn(archivedLsn)}' FROM pg_replication_slots`,
      );
      expect(restart).toBe('t');
    });

    it.each(['fast', 'smart'] as const)(
      'lets a server shut down (%s) while half a segment is under way',
      async (mode) => {
        const own = await startPostgres({ major });
        try {
          let heard: WalReport | undefined;
          const running = await archive(own, place.repository, { onReport: (report) => (heard = report) });
          await until(running, () => heard !== undefined);
          await own.psql('postgres', 'CREATE TABLE half AS SELECT generate_series(1, 1000)');
          await own.halt(mode);
          await expect(running.result).rejects.toMatchObject({ type: 'PostgresUnavailable' });
          await own.start();
          await catchUp(own, place.repository);
          await compareWithServer(own, place.repository);
        } finally {
          await own.stop('immediate');
        }
      },
    );

    it('needs one place for replication only, where there is no other', async () => {
      const own = await startPostgres({ major, settings: { max_wal_senders: '1' } });
      try {
        await pgbench(own, '-i', '-q', '-s', '2');
        await catchUp(own, place.repository);
        await compareWithServer(own, place.repository);
      } finally {
        await own.stop('immediate');
      }
    });

    it('asks a quiet server for a new segment once its newest log is old enough, and only where something was written', async () => {
      await catchUp(server, place.repository);
      let report: WalReport | undefined;
      const running = await archive(server, place.repository, { maxAgeMs: 100, onReport: (each) => (report = each) });
      await server.psql('postgres', 'CREATE TABLE fresh (); DROP TABLE fresh');
      const written = await currentLsn(server);
      await until(running, () => (report?.archivedLsn ?? 0n) >= written);
      const { segments } = await running.stop();
      expect(segments).toBeGreaterThanOrEqual(1);
      await compareWithServer(server, place.repository);
    });
  },
);

const lsn = (value: bigint | null) =>
  `${((value ?? 0n) >> 32n).toString(16)}/${((value ?? 0n) & 0xffffffffn).toString(16)}`;
