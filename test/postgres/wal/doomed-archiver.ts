/** Started by a test: archives what the environment says, and is gone in the middle of it, as a worker that is killed. */
import type { Server } from '../../../src/postgres/server.ts';
import { receiveWal } from '../../../src/postgres/wal/receive.ts';
import { openDirectory } from '../../../src/storage/directory.ts';
import { sinkFor, slot } from './archiving.ts';

export interface DoomedOrder {
  readonly server: Server;
  readonly directory: string;
  /** Killed while this many segments more are being published. */
  readonly after: number;
}

const { server, directory, after } = JSON.parse(process.env['DOOMED_ARCHIVER'] ?? '') as DoomedOrder;
const real = openDirectory({ directory });
let published = 0;
const repository = new Proxy(real, {
  get: (target, name) => {
    if (name === 'publish')
      return async (...args: Parameters<typeof real.publish>) => {
        published += 1;
        if (published > after) process.kill(process.pid, 'SIGKILL');
        return target.publish(...args);
      };
    const member: unknown = Reflect.get(target, name);
    return typeof member === 'function' ? (member.bind(target) as unknown) : member;
  },
});
await receiveWal({ server, slot, sink: await sinkFor(repository), signal: new AbortController().signal });
