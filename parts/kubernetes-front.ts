/** A front of the Kubernetes API that forwards what it gets, and misbehaves where it is told to. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest, type RequestOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { KubeConfig } from '@kubernetes/client-node';

export type Misdeed =
  /** Answers by itself; the API server hears nothing of it. */
  | { readonly kind: 'answer'; readonly status: number; readonly message: string }
  /** Forwards, and gives another answer than the API server's. */
  | { readonly kind: 'belie'; readonly status: number; readonly message: string }
  /** Forwards, and breaks the connection instead of handing the answer on. */
  | { readonly kind: 'lose the answer' }
  /** Forwards, hands on half of the answer, and breaks the connection. */
  | { readonly kind: 'cut' }
  /** Hands on another object than it got. */
  | { readonly kind: 'edit'; readonly edit: (object: unknown) => unknown };

export interface Rule {
  readonly method: string;
  /** Of the path without its query. */
  readonly path: RegExp;
  /** How often; always by default. */
  readonly times?: number;
  /** Only once something that was seen looks so. */
  readonly after?: RegExp;
  readonly does: Misdeed;
}

export interface KubernetesFront {
  /** Method, path and what became of it, in their order: "GET /api/v1/namespaces: 200", or lost, cut, none. */
  readonly seen: readonly string[];
  misbehave(rule: Rule): void;
  /** Forgets all rules and what was seen. */
  behave(): void;
  /** Writes a kubeconfig that leads here, for a ServiceAccount's token; by default for whom the front itself is. */
  writeKubeconfig(file: string, token?: string): Promise<void>;
  stop(): Promise<void>;
}

/** Listens on the loopback address, without TLS. Who brings no token is who the config says. */
export async function startKubernetesFront(config: KubeConfig): Promise<KubernetesFront> {
  let rules: { readonly rule: Rule; left: number }[] = [];
  const seen: string[] = [];
  const upstream = new URL(config.getCurrentCluster()?.server ?? '');

  const misdeedFor = (method: string, path: string): Misdeed | undefined => {
    const found = rules.find(
      ({ rule, left }) =>
        left > 0 &&
        rule.method === method &&
        rule.path.test(path) &&
        (rule.after === undefined || seen.some((line) => rule.after?.test(line))),
    );
    if (found === undefined) return undefined;
    found.left -= 1;
    return found.rule.does;
  };

  const forward = async ({ method = '', url = '', headers }: IncomingMessage, body: Buffer) => {
    const { authorization, accept, 'content-type': contentType } = headers;
    const options: RequestOptions = { method, hostname: upstream.hostname, port: upstream.port, path: url };
    await config.applyToHTTPSOptions(options);
    if (authorization !== undefined) {
      delete options.cert;
      delete options.key;
      delete options.agent;
    }
    const { ca, cert, key } = options;
    const request = httpsRequest({
      method,
      hostname: upstream.hostname,
      port: upstream.port,
      path: url,
      agent: false,
      ...(ca === undefined ? {} : { ca }),
      ...(cert === undefined ? {} : { cert }),
      ...(key === undefined ? {} : { key }),
      headers: {
        ...(authorization === undefined ? ownAuthorization(options) : { authorization }),
        ...(accept === undefined ? {} : { accept }),
        ...(contentType === undefined ? {} : { 'content-type': contentType }),
        'content-length': body.length,
      },
    });
    request.end(body);
    const [answer] = (await once(request, 'response')) as [IncomingMessage];
    return { status: answer.statusCode ?? 0, type: answer.headers['content-type'], body: await gather(answer) };
  };

  const serve = async (incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> => {
    const { method = '', url = '' } = incoming;
    const { pathname } = new URL(url, 'http://front');
    const body = await gather(incoming);
    const misdeed = misdeedFor(method, pathname);
    const say = (status: number, what: Buffer | string, type = 'application/json') => {
      seen.push(`${method} ${pathname}: ${String(status)}`);
      outgoing.writeHead(status, { 'content-type': type });
      outgoing.end(what);
    };
    if (misdeed?.kind === 'answer') {
      say(misdeed.status, statusObject(misdeed));
      return;
    }
    const answer = await forward(incoming, body);
    switch (misdeed?.kind) {
      case 'belie':
        say(misdeed.status, statusObject(misdeed));
        return;
      case 'lose the answer':
        seen.push(`${method} ${pathname}: lost`);
        incoming.socket.resetAndDestroy();
        return;
      case 'cut':
        seen.push(`${method} ${pathname}: cut`);
        outgoing.writeHead(answer.status, { 'content-type': answer.type, 'content-length': answer.body.length });
        outgoing.write(answer.body.subarray(0, Math.floor(answer.body.length / 2)), () => {
          incoming.socket.resetAndDestroy();
        });
        return;
      case 'edit':
        say(answer.status, JSON.stringify(misdeed.edit(JSON.parse(answer.body.toString()))));
        return;
      case undefined:
        say(answer.status, answer.body, answer.type);
    }
  };

  const front = createServer((incoming, outgoing) => {
    // Connections break on purpose.
    outgoing.on('error', () => undefined);
    incoming.on('error', () => undefined);
    serve(incoming, outgoing).catch(() => {
      seen.push(`${incoming.method ?? ''} ${incoming.url ?? ''}: none`);
      outgoing.destroy();
    });
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    seen,
    misbehave(rule) {
      rules.push({ rule, left: rule.times ?? Infinity });
    },
    behave() {
      rules = [];
      seen.length = 0;
    },
    async writeKubeconfig(file, token) {
      const own = new KubeConfig();
      own.loadFromOptions({
        // The library takes no plain HTTP without a word that this is meant.
        clusters: [
          {
            name: 'front',
            server: `http://127.0.0.1:${String((front.address() as AddressInfo).port)}`,
            skipTLSVerify: true,
          },
        ],
        users: [{ name: 'user', ...(token === undefined ? {} : { token }) }],
        contexts: [{ name: 'front', cluster: 'front', user: 'user' }],
        currentContext: 'front',
      });
      await writeFile(file, own.exportConfig(), { mode: 0o600 });
    },
    async stop() {
      front.close();
      front.closeAllConnections();
      await once(front, 'close');
    },
  };
}

/** A token, where the kubeconfig has one. */
function ownAuthorization({ headers }: RequestOptions): Record<string, string> {
  const authorization: unknown = (headers as Record<string, unknown> | undefined)?.['Authorization'];
  return typeof authorization === 'string' ? { authorization } : {};
}

const statusObject = ({ status, message }: { readonly status: number; readonly message: string }) =>
  JSON.stringify({ kind: 'Status', apiVersion: 'v1', status: 'Failure', message, code: status });

async function gather(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
