import type { PostgresServer } from '../parts/postgres-server.ts';
import { backUpBase, besides, openGround } from './base.ts';
import { timed, type PgBackRest } from './pgbackrest.ts';
import { close, seconds, settle } from './stage.ts';
import { figure, type Figure } from './table.ts';

const databases = ['small', 'big'] as const;

/**
 * One page in a hundred has changed since the backup before. Ours of PostgreSQL 17, which is the first that has
 * increments; theirs of 15, the newest that Debian 12's pgBackRest knows, which copies whole files.
 */
export async function increments(repeat: number, scale: number): Promise<Figure[]> {
  const ours = await ourIncrements(repeat, scale);
  const theirs = await theirIncrements(repeat, scale);
  return [
    figure('increment after 1 % of the pages changed, against our full backup', 's', null, ours.increments, ours.fulls),
    figure('bytes stored of it, against our full backup', 'MB', null, ours.bytes, ours.fullBytes),
    figure('increment after 1 % of the pages changed, against pgbackrest --type=incr', 's', 1, ours.increments, theirs),
  ];
}

async function ourIncrements(repeat: number, scale: number) {
  const stage = await openGround(17, scale, { settings: { summarize_wal: 'on' } });
  try {
    const found = {
      fulls: [] as number[],
      fullBytes: [] as number[],
      increments: [] as number[],
      bytes: [] as number[],
    };
    await backUpBase(stage, 1, 'increments');
    for (let turn = 1; turn <= repeat; turn += 1) {
      await changePages(stage.server, turn);
      await settle();
      found.increments.push(
        await seconds(async () => {
          const { bytes } = await backUpBase(stage, 2 * turn, 'increments');
          found.bytes.push(bytes / 1e6);
        }),
      );
      await settle();
      found.fulls.push(
        await seconds(async () => {
          const { bytes } = await backUpBase(stage, 2 * turn + 1);
          found.fullBytes.push(bytes / 1e6);
        }),
      );
    }
    return found;
  } finally {
    await close(stage);
  }
}

async function theirIncrements(repeat: number, scale: number): Promise<number[]> {
  const stage = await openGround(15, scale);
  let theirs: PgBackRest | undefined;
  try {
    theirs = await besides(stage);
    await theirs.run('backup', '--type=full');
    const times: number[] = [];
    for (let turn = 1; turn <= repeat; turn += 1) {
      await changePages(stage.server, turn);
      await settle();
      times.push(await timed(theirs, 'backup', '--type=incr'));
    }
    return times;
  } finally {
    await theirs?.stop();
    await close(stage);
  }
}

/** A row is deleted on so many pages of the tables that they are a hundredth of all pages, indexes and tables. */
async function changePages(server: PostgresServer, turn: number): Promise<void> {
  for (const database of databases) {
    await server.psql(
      database,
      `DELETE FROM events WHERE ctid = ANY (ARRAY(
         SELECT format('(%s,%s)', page, ${String(turn)})::tid
         FROM pg_class c, generate_series(0, c.relpages - 1, (c.relpages * 100 / (pg_database_size(current_database()) / 8192))::int) page
         WHERE c.relname = 'events'))`,
    );
  }
  await server.psql('postgres', 'CHECKPOINT');
}
