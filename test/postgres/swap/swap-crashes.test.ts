import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { availableMajors, startPostgres, type PostgresServer } from '../../../parts/postgres-server.ts';
import type { SwapInput, SwapState } from '../../../src/domain/swap-report.ts';
import { withSession } from '../../../src/postgres/connection.ts';
import { inspectSwap } from '../../../src/postgres/swap/inspect.ts';
import { swapState } from '../../../src/postgres/swap/state.ts';
import { swapDatabases, swapFailpoints, undoSwap, type SwapFailpoint } from '../../../src/postgres/swap/swap.ts';
import { addressOf, catalogOf, contentOf, leftovers, makePair, never } from './pair.ts';

/** What a crash at each point leaves behind. */
const leaves: Readonly<Record<SwapFailpoint, Exclude<SwapState, 'foreign'>>> = {
  inspected: 'before',
  closed: 'closed',
  'sessions ended': 'closed',
  renaming: 'closed',
  renamed: 'swapped',
  opened: 'done',
};

describe.each(availableMajors().filter((major) => major === 15 || major === 17))(
  'a swap whose process is killed, on postgresql %i,',
  (major) => {
    let server: PostgresServer;

    beforeAll(async () => {
      server = await startPostgres({ major });
    });
    afterAll(() => server.stop());

    const crash = async (input: SwapInput, at: SwapFailpoint, verb: 'swap' | 'undo' = 'swap') => {
      const order = JSON.stringify({ server: addressOf(server), input, verb, at });
      const script = join(import.meta.dirname, 'doomed-swap.ts');
      const child = spawn(process.execPath, ['--import', 'tsx', script], {
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'], DOOMED_SWAP: order },
        stdio: ['ignore', 'ignore', 'inherit'],
      });
      const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
      expect(signal).toBe('SIGKILL');
    };
    const stateOf = (input: SwapInput) =>
      withSession(addressOf(server), {}, async (session) => swapState(await inspectSwap(session, input)));

    it.each(swapFailpoints)('is gone on with by the next call: %s', async (at) => {
      const input = await makePair(server, `crash ${at}`);
      await crash(input, at);
      expect(await stateOf(input)).toBe(leaves[at]);
      const result = await swapDatabases(addressOf(server), input, never());
      expect(result).toMatchObject({ found: leaves[at], live: { name: input.liveName, oid: input.copyOid } });
      if (at !== 'opened') expect(result.downtimeMs).toBeGreaterThanOrEqual(0);
      expect(await contentOf(server, input.liveName)).toBe('new');
      await expect(contentOf(server, input.oldName)).rejects.toThrow('not currently accepting connections');
      expect(
        await server.psql(
          'postgres',
          `SELECT description FROM pg_shdescription WHERE objoid = ${String(input.copyOid)}`,
        ),
      ).toBe('');
      expect(await leftovers(server)).toBe('');
    });

    it.each(['closed', 'renamed'] as const)('is gone on with by the next call of an undo, too: %s', async (at) => {
      const input = await makePair(server, `undo ${at}`);
      await swapDatabases(addressOf(server), input, never());
      await crash(input, at, 'undo');
      expect(await undoSwap(addressOf(server), input, never())).toMatchObject({ found: leaves[at] });
      expect(await contentOf(server, input.liveName)).toBe('old');
      await expect(contentOf(server, input.copyName)).rejects.toThrow('not currently accepting connections');
      expect(await leftovers(server)).toBe('');
    });

    it.each(['closed', 'renaming'] as const)('is taken back by a next call that is cancelled: %s', async (at) => {
      const input = await makePair(server, `abandoned ${at}`);
      const before = await catalogOf(server, input);
      await crash(input, at);
      const cancelled = { signal: AbortSignal.abort(new Error('cancelled')) };
      await expect(swapDatabases(addressOf(server), input, cancelled)).rejects.toThrow('cancelled');
      expect(await catalogOf(server, input)).toBe(before);
      expect(await contentOf(server, input.liveName)).toBe('old');
    });

    it('is finished by a next call that is cancelled, once the names are exchanged', async () => {
      const input = await makePair(server, 'cancelled late');
      await crash(input, 'renamed');
      const cancelled = { signal: AbortSignal.abort(new Error('cancelled')) };
      expect(await swapDatabases(addressOf(server), input, cancelled)).toMatchObject({ found: 'swapped' });
      expect(await contentOf(server, 'cancelled late')).toBe('new');
    });

    it.each(['closed', 'renaming', 'renamed'] as const)(
      'is gone on with after the server itself crashed: %s',
      async (at) => {
        const input = await makePair(server, `lost ${at}`);
        const failpoint = async (name: string) => {
          if (name === at) await server.kill();
        };
        await expect(swapDatabases(addressOf(server), input, { ...never(), failpoint })).rejects.toMatchObject({
          type: 'PostgresUnavailable',
          hint: expect.stringContaining('call the swap again'),
        });
        await server.start();
        expect(await stateOf(input)).toBe(leaves[at]);
        await swapDatabases(addressOf(server), input, never());
        expect(await contentOf(server, input.liveName)).toBe('new');
        expect(await stateOf(input)).toBe('done');
      },
    );
  },
);
