import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';

/** Something of this machine that listens on its loopback address, where pods reach it. */
export interface ServedToPods {
  readonly address: string;
  readonly server: Server;
}

/** @param s3Endpoint of the cluster's S3 server: at its host pods reach this machine */
export async function serveToPods(address: string, s3Endpoint: string): Promise<ServedToPods> {
  const [, port] = address.split(':');
  const server = createServer((client) => {
    const upstream = connect(Number(port), '127.0.0.1');
    client.pipe(upstream).pipe(client);
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const)
      one.on('error', () => other.destroy());
  });
  const { hostname } = new URL(s3Endpoint);
  server.listen(0, hostname);
  await once(server, 'listening');
  return { server, address: `${hostname}:${String((server.address() as AddressInfo).port)}` };
}
