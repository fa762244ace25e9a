import { mkdir, open, readFile, readdir, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, connect as dial, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import { makeScratch } from '../../../parts/scratch.ts';
import {
  takeBaseBackup,
  type BaseBackupRequest,
  type StoredBytes,
} from '../../../src/postgres/physical/base-backup.ts';
import { until } from '../../process/processes.ts';
import { failureOf, fileSinks, requestOf, walsendersOf, type FileSinks } from './taking.ts';

let server: PostgresServer;
let scratch: string;
let directory: string;
let count = 0;

beforeAll(async () => {
  scratch = await makeScratch('basefaults');
  server = await startPostgres({ major: 17, initdb: ['--data-checksums'] });
  await server.psql('postgres', `CREATE TABLE t AS SELECT n, md5(n::text) AS t FROM generate_series(1, 200000) n`);
});

afterAll(async () => {
  await server.stop();
  await rm(scratch, { recursive: true, force: true });
});

beforeEach(async () => {
  count += 1;
  directory = join(scratch, String(count));
  await mkdir(directory);
});

const taking = (sinks: FileSinks, wishes: Partial<BaseBackupRequest<StoredBytes>> = {}) =>
  takeBaseBackup({ ...requestOf(server, sinks), ...wishes });

/** conf.tar was finished before anything went wrong: the caller's sweep takes it. */
const nothingIsLeft = async () => {
  expect((await readdir(directory)).filter((name) => name !== 'conf.tar')).toEqual([]);
  await until('no walsender is left', async () => (await walsendersOf(server)) === '0');
};

describe('a base backup that is interrupted leaves no object that is not finished and no walsender', () => {
  it('by its signal, while it copies', async () => {
    const controller = new AbortController();
    const reason = new Error('enough');
    const sinks = fileSinks(directory, (name) => {
      if (name === 'base.tar.zst') controller.abort(reason);
    });
    expect(await failureOf(taking(sinks, { signal: controller.signal }))).toBe(reason);
    expect(sinks.aborted).toEqual(['base.tar.zst']);
    await nothingIsLeft();
  });

  it('by its signal, while the server makes a checkpoint that takes minutes', async () => {
    await server.psql('postgres', `UPDATE t SET n = n`);
    const controller = new AbortController();
    const reason = new Error('enough');
    const error = failureOf(taking(fileSinks(directory), { signal: controller.signal, checkpoint: 'spread' }));
    await until('it waits for the checkpoint', async () => {
      const phase = await server.psql('postgres', 'SELECT phase FROM pg_stat_progress_basebackup');
      return phase.includes('checkpoint');
    });
    controller.abort(reason);
    expect(await error).toBe(reason);
    await nothingIsLeft();
  });

  it('by a sink that is full', async () => {
    const full = new Error('ENOSPC');
    const sinks = fileSinks(directory, (name) => (name === 'base.tar.zst' ? Promise.reject(full) : undefined));
    expect(await failureOf(taking(sinks))).toBe(full);
    await nothingIsLeft();
  });

  it('by an object that can not be opened', async () => {
    const reason = new Error('the store is gone');
    const sinks = fileSinks(directory);
    const opening = (name: string) => (name === 'backup_manifest' ? Promise.reject(reason) : sinks.open(name));
    expect(await failureOf(taking(sinks, { open: opening }))).toBe(reason);
    expect(await walsendersOf(server)).toBe('0');
  });

  it('by a sink that hangs', async () => {
    const sinks = fileSinks(directory, (name) => (name === 'base.tar.zst' ? new Promise(() => undefined) : undefined));
    expect(await failureOf(taking(sinks, { stallMs: 2_000 }))).toMatchObject({ type: 'StoreUnavailable' });
    await nothingIsLeft();
  });

  it('by a server that hangs', async () => {
    let pid = 0;
    const sinks = fileSinks(directory, async (name) => {
      if (name !== 'base.tar.zst' || pid !== 0) return;
      pid = Number(await server.psql('postgres', `SELECT pid FROM pg_stat_activity WHERE backend_type = 'walsender'`));
      process.kill(pid, 'SIGSTOP');
    });
    try {
      const error = await failureOf(
        taking(sinks, {
          stallMs: 2_000,
          compression: { by: 'none' },
          open: (name) => sinks.open(name === 'base.tar' ? 'base.tar.zst' : name),
        }),
      );
      expect(error).toMatchObject({
        type: 'PostgresUnavailable',
        message: expect.stringContaining('has sent nothing'),
      });
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await nothingIsLeft();
  });

  it('by somebody who ends the backend', async () => {
    let done = false;
    const sinks = fileSinks(directory, async (name) => {
      if (name !== 'base.tar.zst' || done) return;
      done = true;
      await server.psql(
        'postgres',
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'walsender'`,
      );
    });
    expect(await failureOf(taking(sinks))).toMatchObject({ type: 'PostgresUnavailable' });
    await nothingIsLeft();
  });

  it('by a server that is stopped at once', async () => {
    let halted: Promise<void> | undefined;
    const sinks = fileSinks(directory, async (name) => {
      if (name === 'base.tar.zst') await (halted ??= server.halt('immediate'));
    });
    expect(await failureOf(taking(sinks))).toMatchObject({ type: 'PostgresUnavailable' });
    await halted;
    await server.start();
    await nothingIsLeft();
  });
});

describe('a base backup is refused', () => {
  it('where pages are damaged, with the file, unless they are to be kept', async () => {
    const file = await server.psql('postgres', `CHECKPOINT; SELECT pg_relation_filepath('t')`);
    const path = join(server.dataDir, file);
    const whole = await readFile(path);
    const handle = await open(path, 'r+');
    await handle.write(Buffer.from('damage'), 0, 6, 8192 * 3 + 4000);
    await handle.close();
    try {
      const error = await failureOf(taking(fileSinks(directory)));
      expect(error).toMatchObject({
        type: 'PostgresRefused',
        message: expect.stringMatching(/has damaged pages: .*checksum verification failed in file/),
      });
      await nothingIsLeft();
      const sinks = fileSinks(directory);
      const kept = await taking(sinks, { verifyChecksums: false, open: (name) => sinks.open(`kept-${name}`) });
      expect(kept.type).toBe('full');
    } finally {
      await truncate(path, 0);
      await writeFile(path, whole);
    }
  });

  it('from another system than expected', async () => {
    expect(await failureOf(taking(fileSinks(directory), { expectedSystemIdentifier: '1' }))).toMatchObject({
      type: 'ConfigurationChanged',
      message: expect.stringMatching(/is system \d{19}, not 1/),
    });
  });

  it('with a label that would be more than one line of backup_label', async () => {
    const error = await failureOf(taking(fileSinks(directory), { label: 'a\nSTART TIME: never' }));
    expect(error).toMatchObject({ type: 'InvalidArgument' });
    expect(await walsendersOf(server)).toBe('0');
  });

  it('for a role that may not replicate, with the cure', async () => {
    await server.psql('postgres', `CREATE ROLE nobody LOGIN PASSWORD 'pw'`);
    const { server: address } = requestOf(server, fileSinks(directory));
    const error = await failureOf(
      taking(fileSinks(directory), { server: { ...address, user: 'nobody', password: 'pw' } }),
    );
    expect(error).toMatchObject({
      type: 'PostgresRefused',
      hint: expect.stringContaining('ALTER ROLE "nobody" REPLICATION'),
    });
  });
});

it('a role that may only replicate takes a backup without configuration files, and is told', async () => {
  await server.psql('postgres', `CREATE ROLE replicator REPLICATION LOGIN PASSWORD 'pw'`);
  const { server: address } = requestOf(server, fileSinks(directory));
  const taken = await taking(fileSinks(directory), { server: { ...address, user: 'replicator', password: 'pw' } });
  expect(taken.configuration).toBeNull();
  expect(taken.warnings.join()).toContain('the configuration files are not in the backup');
  expect(taken.settings).toHaveProperty('max_connections');
});

it('a server that was built without zstd compresses by lz4', async () => {
  // Asked through a wire that misspells zstd, it refuses as a server does that doesn't know it.
  const wire = createServer((client) => {
    const upstream = dial(server.port, '127.0.0.1');
    client.on('data', (data) =>
      upstream.write(Buffer.from(data.toString('latin1').replaceAll("'zstd'", "'zzzz'"), 'latin1')),
    );
    upstream.pipe(client);
    upstream.on('close', () => client.destroy()).on('error', () => client.destroy());
    client.on('close', () => upstream.destroy()).on('error', () => upstream.destroy());
  });
  await new Promise<void>((resolve) => wire.listen(0, '127.0.0.1', resolve));
  try {
    const { server: address } = requestOf(server, fileSinks(directory));
    const through = { ...address, port: (wire.address() as AddressInfo).port };
    const taken = await taking(fileSinks(directory), { server: through });
    expect(taken.archives).toMatchObject([{ name: 'base.tar.lz4', compression: 'lz4' }]);
  } finally {
    await new Promise((resolve) => wire.close(resolve));
  }
});

it('a store that is slower than every time-out of the server ends in a backup all the same', async () => {
  await server.psql('postgres', `ALTER SYSTEM SET wal_sender_timeout = '1s'`);
  await server.psql('postgres', 'SELECT pg_reload_conf()');
  let slow = 2;
  const sinks = fileSinks(directory, async (name) => {
    if (name === 'base.tar.zst' && slow-- > 0) await sleep(2_000);
  });
  expect((await taking(sinks)).type).toBe('full');
});

describe('the WAL of a base backup that holds its own', () => {
  /** What a busy server does while the backup is copied: several segments are filled, and checkpoints let go of them. */
  const busyAt = (name: string) => {
    let done = false;
    return fileSinks(directory, async (written) => {
      if (written !== name || done) return;
      done = true;
      for (let round = 0; round < 4; round += 1)
        await server.psql('postgres', `UPDATE t SET n = n; SELECT pg_switch_wal(); CHECKPOINT`);
    });
  };

  it('is kept by the server until it has been sent', async () => {
    const taken = await taking(busyAt('base.tar.zst'), { wal: true });
    expect(taken.warnings).toEqual([]);
    expect(await server.psql('postgres', 'SELECT count(*) FROM pg_replication_slots')).toBe('0');
  });

  it('is said not to be, where every slot is taken, and what was lost is named', async () => {
    const slots = Array.from({ length: 10 }, (_, index) => `full_${String(index)}`);
    for (const slot of slots) await server.psql('postgres', `SELECT pg_create_physical_replication_slot('${slot}')`);
    try {
      const taken = await taking(fileSinks(directory), { wal: true });
      expect(taken.warnings).toEqual([expect.stringContaining('raise max_replication_slots')]);
      await rm(directory, { recursive: true });
      await mkdir(directory);
      expect(await failureOf(taking(busyAt('base.tar.zst'), { wal: true }))).toMatchObject({
        message: expect.stringContaining('has already been removed'),
        hint: expect.stringContaining('wal_keep_size'),
      });
      await nothingIsLeft();
    } finally {
      for (const slot of slots) await server.psql('postgres', `SELECT pg_drop_replication_slot('${slot}')`);
    }
  });
});
