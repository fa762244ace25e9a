import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';

const lowest = 10_000;

/**
 * Ends where the ports begin that the system gives away itself, to connections and to servers that ask for any: one of
 * those may be gone again before a program that takes a second to start has bound it.
 */
const end = firstOfSystem();
let next = randomInt(lowest, end);

/**
 * A TCP port that nothing on the loopback address listens on at this moment, and that nobody is given who doesn't ask
 * for it by number; another one each time.
 */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < end - lowest; tries += 1) {
    const port = next;
    next = port + 1 < end ? port + 1 : lowest;
    if (await isFree(port)) return port;
  }
  throw new Error(`every port from ${String(lowest)} to ${String(end - 1)} is in use`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false;
    throw error;
  }
  server.close();
  await once(server, 'close');
  return true;
}

function firstOfSystem(): number {
  try {
    const [first] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/);
    return Math.max(Number(first), lowest + 1_000);
  } catch {
    return 32_768;
  }
}
