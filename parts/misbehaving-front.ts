/** An S3 server's front that forwards what it gets, and misbehaves where it is told to. */
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import {
  Agent,
  createServer,
  request as httpRequest,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import type { S3Server } from './s3-server.ts';

export type Misdeed =
  /** Answers by itself; the server hears nothing of it. */
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly code: string;
      /** Instead of the usual error document. */
      readonly body?: string;
      readonly headers?: Readonly<Record<string, string>>;
    }
  /** Breaks the connection when so many bytes of the request's body have come. */
  | { readonly kind: 'reset'; readonly afterBytes: number }
  /** Takes the request and never says a word. */
  | { readonly kind: 'blackhole' }
  /** Passes the answer's body on in bits, ten a second. */
  | { readonly kind: 'trickle'; readonly bytesPerSecond: number }
  /** Reads the request so slowly that it never comes to its end. */
  | { readonly kind: 'stall' }
  /** Forwards, and breaks the connection instead of handing the answer on. */
  | { readonly kind: 'lose the answer' }
  /** Forwards the beginning of the body only; `forged`: says that it took all of it. */
  | { readonly kind: 'cut the body'; readonly bytes: number; readonly forged: boolean }
  /** Forwards without a header. */
  | { readonly kind: 'strip'; readonly header: string }
  /** Hands on another body than it got; `honest`: with the length that goes with it. */
  | { readonly kind: 'edit'; readonly honest: boolean; readonly edit: (body: Buffer) => Buffer };

export interface Rule {
  /** Such as UploadPart; any by default. */
  readonly operation?: string;
  /** What the key looks like; any by default. */
  readonly key?: RegExp;
  /** Only the request of this turn, counted from 1, with all its repetitions by the SDK. */
  readonly turn?: number;
  /** How often, repetitions too; always by default. */
  readonly times?: number;
  readonly does: Misdeed;
}

export interface Seen {
  readonly operation: string;
  readonly key: string;
  /** The same for all the tries of one request. */
  readonly invocation: string;
}

export interface MisbehavingFront {
  readonly endpoint: string;
  /** What came, in its order. */
  readonly seen: readonly Seen[];
  misbehave(rule: Rule): void;
  /** Forgets all rules and what was seen. */
  behave(): void;
  stop(): Promise<void>;
}

/** Listens on the loopback address. What it changes it signs anew, with the server's own keys. */
export async function startFront(server: S3Server): Promise<MisbehavingFront> {
  const agent = new Agent({ keepAlive: true });
  let rules: { readonly rule: Rule; left: number; readonly invocations: string[] }[] = [];
  const seen: Seen[] = [];

  const misdeedFor = (request: Seen): Misdeed | undefined => {
    for (const entry of rules) {
      const { operation, key, turn } = entry.rule;
      if (operation !== undefined && operation !== request.operation) continue;
      if (key?.test(request.key) === false) continue;
      if (!entry.invocations.includes(request.invocation)) entry.invocations.push(request.invocation);
      if (turn !== undefined && entry.invocations[turn - 1] !== request.invocation) continue;
      if (entry.left === 0) continue;
      entry.left -= 1;
      return entry.rule.does;
    }
    return undefined;
  };

  const front = createServer((incoming, outgoing) => {
    const request = describe(incoming);
    seen.push(request);
    const misdeed = misdeedFor(request);
    // Connections break on purpose.
    outgoing.on('error', () => undefined);
    incoming.on('error', () => undefined);
    serve(server, agent, incoming, outgoing, misdeed).catch(() => outgoing.destroy());
  });
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  return {
    endpoint: `http://127.0.0.1:${String((front.address() as AddressInfo).port)}`,
    seen,
    misbehave(rule) {
      rules.push({ rule, left: rule.times ?? Infinity, invocations: [] });
    },
    behave() {
      rules = [];
      seen.length = 0;
    },
    async stop() {
      front.close();
      front.closeAllConnections();
      agent.destroy();
      await once(front, 'close');
    },
  };
}

function describe({ method = '', url = '', headers }: IncomingMessage): Seen {
  const { pathname, searchParams } = new URL(url, 'http://front');
  const [, , ...key] = decodeURIComponent(pathname).split('/');
  const invocation = headers['amz-sdk-invocation-id'];
  return {
    operation: operationOf(method, searchParams, key.join('/') !== ''),
    key: key.join('/'),
    invocation: typeof invocation === 'string' ? invocation : '',
  };
}

function operationOf(method: string, query: URLSearchParams, isObject: boolean): string {
  if (query.has('uploads')) return method === 'POST' ? 'CreateMultipartUpload' : 'ListMultipartUploads';
  if (query.has('versions')) return 'ListObjectVersions';
  if (query.has('retention')) return 'GetObjectRetention';
  if (query.has('legal-hold')) return 'GetObjectLegalHold';
  if (query.has('uploadId')) {
    const names: Readonly<Record<string, string>> = {
      PUT: 'UploadPart',
      POST: 'CompleteMultipartUpload',
      DELETE: 'AbortMultipartUpload',
      GET: 'ListParts',
    };
    return names[method] ?? method;
  }
  if (!isObject) return 'ListObjectsV2';
  const names: Readonly<Record<string, string>> = {
    PUT: 'PutObject',
    GET: 'GetObject',
    HEAD: 'HeadObject',
    DELETE: 'DeleteObject',
  };
  return names[method] ?? method;
}

async function serve(
  server: S3Server,
  agent: Agent,
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  misdeed: Misdeed | undefined,
): Promise<void> {
  if (misdeed?.kind === 'stall') {
    incoming.once('readable', () => {
      incoming.read(1);
    });
    return;
  }
  if (misdeed?.kind === 'reset') {
    let bytes = 0;
    for await (const chunk of incoming) {
      bytes += (chunk as Buffer).length;
      if (bytes >= misdeed.afterBytes) break;
    }
    incoming.socket.resetAndDestroy();
    return;
  }
  const body = await gather(incoming);
  if (misdeed?.kind === 'blackhole') return;
  if (misdeed?.kind === 'answer') {
    const document = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${misdeed.code}</Code><Message>misbehaving</Message></Error>`;
    outgoing.writeHead(misdeed.status, { 'content-type': 'application/xml', ...misdeed.headers });
    outgoing.end(misdeed.body ?? document);
    return;
  }
  const headers = { ...incoming.headers };
  let sent = body;
  if (misdeed?.kind === 'strip') Reflect.deleteProperty(headers, misdeed.header);
  if (misdeed?.kind === 'cut the body') {
    sent = body.subarray(0, misdeed.bytes);
    Reflect.deleteProperty(headers, 'content-md5');
    headers['content-length'] = String(sent.length);
  }
  if (misdeed?.kind === 'strip' || misdeed?.kind === 'cut the body') sign(server, incoming, headers);
  const answer = await forward(server, agent, incoming, headers, sent);
  if (misdeed?.kind === 'lose the answer') {
    incoming.socket.resetAndDestroy();
    return;
  }
  const answered: OutgoingHttpHeaders = { ...answer.headers };
  let given = answer.body;
  if (misdeed?.kind === 'cut the body' && misdeed.forged) {
    answered.etag = `"${createHash('md5').update(body).digest('hex')}"`;
  }
  if (misdeed?.kind === 'edit') {
    given = misdeed.edit(given);
    if (misdeed.honest) answered['content-length'] = String(given.length);
  }
  outgoing.writeHead(answer.status, answered);
  if (misdeed?.kind === 'trickle') {
    await trickle(outgoing, given, misdeed.bytesPerSecond);
    return;
  }
  outgoing.write(given);
  // Fewer bytes than were promised: the connection has to break, or the other side waits for ever.
  if (incoming.method !== 'HEAD' && Number(answered['content-length'] ?? given.length) !== given.length) {
    outgoing.socket?.end();
    return;
  }
  outgoing.end();
}

async function trickle(outgoing: ServerResponse, body: Buffer, bytesPerSecond: number): Promise<void> {
  const step = Math.max(1, Math.floor(bytesPerSecond / 10));
  for (let at = 0; at < body.length && !outgoing.destroyed; at += step) {
    outgoing.write(body.subarray(at, at + step));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  outgoing.end();
}

async function gather(stream: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

async function forward(
  { endpoint }: S3Server,
  agent: Agent,
  { method, url }: IncomingMessage,
  headers: IncomingHttpHeaders,
  body: Buffer,
): Promise<Answer> {
  const { hostname, port } = new URL(endpoint);
  Reflect.deleteProperty(headers, 'expect');
  Reflect.deleteProperty(headers, 'connection');
  const request = httpRequest({ agent, hostname, port, method, path: url, headers });
  // What breaks after the answer's head is heard of by whoever reads its body.
  request.on('error', () => undefined);
  request.end(body);
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  return { status: answer.statusCode ?? 0, headers: answer.headers, body: await gather(answer) };
}

/** Signature version 4 with an unsigned body. */
function sign(server: S3Server, { method = '', url = '' }: IncomingMessage, headers: IncomingHttpHeaders): void {
  const { pathname, searchParams } = new URL(url, 'http://front');
  const date = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '');
  const scope = `${date.slice(0, 8)}/${server.region}/s3/aws4_request`;
  headers['x-amz-date'] = date;
  headers['x-amz-content-sha256'] = 'UNSIGNED-PAYLOAD';
  const signed = ['host', 'x-amz-content-sha256', 'x-amz-date'];
  for (const name of Object.keys(headers)) if (name.startsWith('x-amz-') && !signed.includes(name)) signed.push(name);
  signed.sort();
  const query = [...searchParams]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join('&');
  const canonical = [
    ...[method, pathname, query],
    ...signed.map((name) => `${name}:${String(headers[name])}`),
    ...['', signed.join(';'), 'UNSIGNED-PAYLOAD'],
  ].join('\n');
  const text = ['AWS4-HMAC-SHA256', date, scope, createHash('sha256').update(canonical).digest('hex')].join('\n');
  const hmac = (key: Buffer | string, data: string) => createHmac('sha256', key).update(data).digest();
  const [day = '', region = '', service = '', end = ''] = scope.split('/');
  const key = hmac(hmac(hmac(hmac(`AWS4${server.secretAccessKey}`, day), region), service), end);
  const signature = createHmac('sha256', key).update(text).digest('hex');
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${server.accessKeyId}/${scope}, SignedHeaders=${signed.join(';')}, Signature=${signature}`;
}
