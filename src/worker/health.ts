import fastify from 'fastify';
import type { Registry } from 'prom-client';

export interface HealthServer {
  readonly address: string;
  close(): Promise<void>;
}

/**
 * `/healthz`: the process runs and its event loop turns; it never depends on Temporal, PostgreSQL or storage, whose
 * absence is no reason to kill a running dump. `/readyz`: every queue is being polled. `/metrics`: Prometheus.
 * @param address host:port
 */
export async function serveHealth(
  address: string,
  ready: () => readonly string[],
  metrics: Registry,
): Promise<HealthServer> {
  const { host, port } = splitAddress(address);
  const server = fastify({ logger: false });
  server.get('/healthz', () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const missing = ready();
    return reply
      .code(missing.length === 0 ? 200 : 503)
      .send({ status: missing.length === 0 ? 'ready' : 'not ready', missing });
  });
  server.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
  const url = await server.listen({ host, port });
  return { address: url, close: () => server.close() };
}

export function splitAddress(address: string): { host: string; port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[|\]$/g, ''), port: Number(address.slice(at + 1)) };
}
