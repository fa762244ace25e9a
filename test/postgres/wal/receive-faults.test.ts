import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { WalGap, WalReport } from '../../../src/postgres/wal/receive.ts';
import { removeSlot } from '../../../src/postgres/wal/slot.ts';
import type { Repository, StageWriter } from '../../../src/storage/repository.ts';
import { auditArchive } from '../../../src/storage/wal/audit.ts';
import { addressOf } from '../swap/pair.ts';
import {
  archive,
  catchUp,
  cluster,
  compareWithServer,
  compressors,
  expectNoGap,
  listed,
  makePlace,
  pgbench,
  slot,
  stopAll,
  switchWal,
  until,
  type Place,
} from './archiving.ts';
import type { DoomedOrder } from './doomed-archiver.ts';

describe.each(availableMajors().filter((major) => major === 15 || major === 17))(
  'an archive of postgresql %i',
  (major) => {
    let server: PostgresServer;
    let place: Place;
    let onTestFinished: () => void = () => undefined;

    beforeAll(async () => {
      server = await startPostgres({ major, settings: { wal_keep_size: '2GB', max_wal_size: '2GB' } });
      await pgbench(server, '-i', '-q', '-s', '2');
    });
    afterAll(() => server.stop());
    beforeEach(async () => {
      place = await makePlace();
    });
    afterEach(async () => {
      onTestFinished();
      await stopAll();
      await removeSlot(addressOf(server), slot);
      await place.close();
    });

    it('goes on without a gap where a process was killed between two publications', async () => {
      await catchUp(server, place.repository);
      await pgbench(server, '-i', '-q', '-s', '10');
      const order: DoomedOrder = { server: addressOf(server), directory: place.directory, after: 3 };
      const child = spawn(process.execPath, ['--import', 'tsx', join(import.meta.dirname, 'doomed-archiver.ts')], {
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], DOOMED_ARCHIVER: JSON.stringify(order) },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      expect(signal).toBe('SIGKILL');
      await until(
        undefined,
        async () => (await server.psql('postgres', 'SELECT active FROM pg_replication_slots')) === 'f',
      );
      const result = await catchUp(server, place.repository);
      expect(result.gaps).toEqual([]);
      await compareWithServer(server, place.repository);
      await expectNoGap(place.repository);
      for await (const staged of place.repository.listStaged()) throw new Error(`${staged.key} was left staged`);
    });

    it('loses nothing while the store stalls and pgbench writes, and takes no more than some segments meanwhile', async () => {
      await catchUp(server, place.repository);
      const stall = stalling(place.repository);
      onTestFinished = stall.end;
      let report: WalReport | undefined;
      const running = await archive(server, stall.repository, {
        onReport: (each) => (report = each),
        statusMs: 100,
        walSenderTimeoutMs: 8_000,
      });
      await until(running, () => report !== undefined);
      stall.begin();
      const before = report?.archivedLsn;
      await pgbench(server, '-i', '-q', '-s', '15');
      await pgbench(server, '-c', '2', '-T', '9', '-n');
      const end = await switchWal(server);
      await until(running, () => (report?.serverLsn ?? 0n) >= end);
      expect(report?.archivedLsn).toBe(before);
      expect(report?.lagBytes).toBeGreaterThan(100_000_000);
      expect(report?.lagSeconds).toBeGreaterThan(8);
      expect(stall.mostAtOnce()).toBeLessThanOrEqual(3);
      stall.end();
      await until(running, () => (report?.archivedLsn ?? 0n) >= end);
      await running.stop();
      await compareWithServer(server, place.repository);
      await expectNoGap(place.repository);
    });

    it('ends with the error of a store that fails, leaves nothing staged, and goes on once it is well', async () => {
      await catchUp(server, place.repository);
      await pgbench(server, '-i', '-q', '-s', '3');
      const full = Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
      const failing = withWriter(place.repository, () => Promise.reject(full));
      const running = await archive(server, failing);
      await expect(running.result).rejects.toBe(full);
      for await (const staged of place.repository.listStaged()) throw new Error(`${staged.key} was left staged`);
      await catchUp(server, place.repository);
      await compareWithServer(server, place.repository);
      await expectNoGap(place.repository);
    });

    it('is written by one at a time', async () => {
      let report: WalReport | undefined;
      const running = await archive(server, place.repository, { onReport: (each) => (report = each) });
      await until(running, () => report !== undefined);
      const second = await archive(server, place.repository);
      await expect(second.result).rejects.toMatchObject({ type: 'Busy', message: expect.stringMatching(/pid \d+/) });
      await expect(removeSlot(addressOf(server), slot)).rejects.toMatchObject({ type: 'Busy' });
      await running.stop();
      expect(await removeSlot(addressOf(server), slot)).toBe(true);
      expect(await removeSlot(addressOf(server), slot)).toBe(false);
    });

    it('takes no other cluster than the one that is expected', async () => {
      const running = await archive(server, place.repository, { expectedSystemIdentifier: '42' });
      await expect(running.result).rejects.toMatchObject({
        type: 'ConfigurationChanged',
        message: expect.stringMatching(/system identifier \d+ instead of 42/),
      });
    });

    it('survives the end of its walsender as a failure that may be tried again', async () => {
      let report: WalReport | undefined;
      const running = await archive(server, place.repository, { onReport: (each) => (report = each) });
      await until(running, () => report !== undefined);
      await server.psql('postgres', 'SELECT pg_terminate_backend(active_pid) FROM pg_replication_slots');
      await expect(running.result).rejects.toMatchObject({ type: 'PostgresUnavailable' });
      await catchUp(server, place.repository);
      await compareWithServer(server, place.repository);
    });

    it('tells of a gap where the slot was invalidated, and goes on behind it', async () => {
      const settings = { max_slot_wal_keep_size: '32MB', max_wal_size: '64MB', min_wal_size: '32MB' };
      const own = await startPostgres({ major, settings });
      try {
        const first = await catchUp(own, place.repository);
        await pgbench(own, '-i', '-q', '-s', '15');
        await own.psql('postgres', 'CHECKPOINT');
        await pgbench(own, '-i', '-q', '-s', '15');
        await own.psql('postgres', 'CHECKPOINT');
        expect(await own.psql('postgres', 'SELECT wal_status FROM pg_replication_slots')).toBe('lost');
        const told: WalGap[] = [];
        const second = await catchUp(own, place.repository, { onGap: (gap) => told.push(gap) });
        expect(second.gaps).toEqual(told);
        expect(told).toMatchObject([{ timeline: 1, from: first.archivedLsn }]);
        const { segments, systemIdentifier, segmentBytes } = await listed(place.repository);
        expect(segments.get(1)).toHaveLength(2);
        const reading = {
          repository: place.repository,
          compressors: await compressors(),
          signal: new AbortController().signal,
        };
        const audit = await auditArchive(reading, cluster, systemIdentifier, { deep: true });
        expect(audit.read).toBe(audit.segments);
        expect(audit.findings).toEqual([
          {
            kind: 'gap',
            timeline: 1,
            first: (told[0]?.from ?? 0n) / BigInt(segmentBytes),
            last: (told[0]?.to ?? 0n) / BigInt(segmentBytes) - 1n,
          },
        ]);
        const third = await catchUp(own, place.repository);
        expect(third.gaps).toEqual([]);
      } finally {
        await own.stop('immediate');
      }
    });
  },
);

/** The repository, each of whose stages is written through a writer that may hold it up. */
function withWriter(real: Repository, onWrite: () => Promise<void>, onOpen: (by: 1 | -1) => void = () => undefined) {
  const stage = async (...args: Parameters<Repository['stage']>): Promise<StageWriter> => {
    const writer = await real.stage(...args);
    onOpen(1);
    return {
      get offset() {
        return writer.offset;
      },
      write: async (chunk) => {
        await onWrite();
        await writer.write(chunk);
      },
      mark: () => {
        writer.mark();
      },
      rollback: () => writer.rollback(),
      finish: () => {
        onOpen(-1);
        return writer.finish();
      },
      abort: () => writer.abort(),
    };
  };
  return new Proxy(real, {
    get: (target, name) => {
      if (name === 'stage') return stage;
      const member: unknown = Reflect.get(target, name);
      return typeof member === 'function' ? (member.bind(target) as unknown) : member;
    },
  });
}

function stalling(real: Repository) {
  let release: () => void = () => undefined;
  let held: Promise<void> = Promise.resolve();
  let open = 0;
  let most = 0;
  const repository = withWriter(
    real,
    () => held,
    (by) => {
      open += by;
      most = Math.max(most, open);
    },
  );
  return {
    repository,
    mostAtOnce: () => most,
    begin: () => {
      held = new Promise((resolve) => {
        release = resolve;
      });
    },
    end: () => {
      release();
    },
  };
}
