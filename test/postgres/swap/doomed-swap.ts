/** Started by a test: swaps what the environment says, and is gone in the middle of it, as a worker that is killed. */
import type { SwapInput } from '../../../src/domain/swap-report.ts';
import type { Server } from '../../../src/postgres/server.ts';
import { swapDatabases, undoSwap } from '../../../src/postgres/swap/swap.ts';

interface Order {
  readonly server: Server;
  readonly input: SwapInput;
  readonly verb: 'swap' | 'undo';
  readonly at: string;
}

const { server, input, verb, at } = JSON.parse(process.env['DOOMED_SWAP'] ?? '') as Order;
const swap = verb === 'swap' ? swapDatabases : undoSwap;
await swap(server, input, {
  signal: new AbortController().signal,
  failpoint: (name) => {
    if (name === at) process.kill(process.pid, 'SIGKILL');
    return Promise.resolve();
  },
});
