/**
 * An HTTP proxy in front of an S3 server that injects the faults of servers and networks: errors, silence, broken
 * connections, wrong responses. Requests are forwarded unchanged, so that their signatures stay valid.
 */
import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type ServerResponse } from 'node:http';
import { Transform } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';

export type Operation =
  'put' | 'get' | 'head' | 'list' | 'delete' | 'create' | 'part' | 'complete' | 'abort' | 'other';

export type Fault =
  | { readonly kind: 'status'; readonly status: number; readonly code: string }
  /** Delays the response. */
  | { readonly kind: 'slow'; readonly ms: number }
  /**
   * Breaks the connection after the server has received the whole request, so that its response is lost. `silently`
   * sends nothing instead, so that the client's timeout ends the request. (In Jest the SDK does not recognize the error of
   * a broken connection, because it comes from another realm.)
   */
  | { readonly kind: 'lost-response'; readonly silently?: boolean }
  /** Breaks the connection after this many bytes of the request body. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  /** Breaks the connection, or sends nothing more, after this many bytes of the response body. */
  | { readonly kind: 'cut-response' | 'stall-response'; readonly afterBytes: number }
  | { readonly kind: 'wrong-etag' }
  /** Changes one byte of the response body. */
  | { readonly kind: 'flip' };

export interface S3Proxy {
  readonly endpoint: string;
  /** All operations so far in order, including those with a fault. */
  readonly operations: Operation[];
  /** The next `times` requests of that operation get the fault. @default all requests */
  inject(operation: Operation, fault: Fault, times?: number): void;
  /** Removes all faults. */
  clearFaults(): void;
  close(): Promise<void>;
}

export async function startS3Proxy(upstream: string): Promise<S3Proxy> {
  const { hostname, port } = new URL(upstream);
  const faults = new Map<Operation, { fault: Fault; left: number }>();
  const operations: Operation[] = [];
  const server = createServer((incoming, response) => {
    const operation = parseOperation(incoming);
    operations.push(operation);
    const injected = faults.get(operation);
    const fault = injected && injected.left-- > 0 ? injected.fault : null;
    // Destroys the socket: destroying a request that was read to its end keeps its connection.
    incoming.on('error', () => undefined);
    response.on('error', () => undefined);
    void forward(incoming, response, fault, { hostname, port }).catch(() => incoming.socket.destroy());
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    operations,
    inject: (operation, fault, times = Infinity) => void faults.set(operation, { fault, left: times }),
    clearFaults: () => faults.clear(),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}

function parseOperation({ method, url }: IncomingMessage): Operation {
  const { pathname, searchParams: query } = new URL(url!, 'http://any');
  const isObject = pathname.split('/').filter(Boolean).length > 1;
  if (query.has('delete')) return 'delete';
  if (query.has('uploads')) return method === 'POST' ? 'create' : 'other';
  if (query.has('uploadId')) {
    return ({ PUT: 'part', POST: 'complete', DELETE: 'abort' } as const)[method!] ?? 'other';
  }
  if (!isObject) return method === 'GET' ? 'list' : 'other';
  return ({ PUT: 'put', GET: 'get', HEAD: 'head' } as const)[method!] ?? 'other';
}

async function forward(
  incoming: IncomingMessage,
  response: ServerResponse,
  fault: Fault | null,
  to: { hostname: string; port: string },
): Promise<void> {
  if (fault?.kind === 'status') {
    incoming.resume();
    await once(incoming, 'end');
    const body = `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>injected</Message></Error>`;
    response.writeHead(fault.status, { 'content-type': 'application/xml' }).end(body);
    return;
  }
  const { method, url, headers } = incoming;
  const upstreamRequest = request({ ...to, method, path: url, headers, agent: false });
  upstreamRequest.on('error', () => incoming.socket.destroy());
  response.on('close', () => upstreamRequest.destroy());
  if (fault?.kind === 'cut-request')
    incoming.pipe(cutAfter(fault.afterBytes, () => incoming.socket.destroy())).pipe(upstreamRequest);
  else incoming.pipe(upstreamRequest);
  const [upstreamResponse] = (await once(upstreamRequest, 'response')) as [IncomingMessage];
  upstreamResponse.on('error', () => response.destroy());
  if (fault?.kind === 'lost-response') {
    upstreamResponse.resume();
    await once(upstreamResponse, 'end');
    if (!fault.silently) incoming.socket.destroy();
    return;
  }
  if (fault?.kind === 'slow') await sleep(fault.ms);
  const changed = { ...upstreamResponse.headers };
  if (fault?.kind === 'wrong-etag') changed['etag'] = `"${'0'.repeat(32)}"`;
  response.writeHead(upstreamResponse.statusCode!, changed);
  if (fault?.kind === 'flip') upstreamResponse.pipe(flipFirstByte()).pipe(response);
  else if (fault?.kind === 'cut-response')
    upstreamResponse.pipe(cutAfter(fault.afterBytes, () => incoming.socket.destroy())).pipe(response);
  else if (fault?.kind === 'stall-response')
    upstreamResponse.pipe(cutAfter(fault.afterBytes, () => undefined)).pipe(response);
  else upstreamResponse.pipe(response);
}

/** Forwards `afterBytes` bytes, then calls `then` and forwards nothing more. */
function cutAfter(afterBytes: number, then: () => void): Transform {
  let left = afterBytes;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      if (chunk.length < left) {
        left -= chunk.length;
        return done(null, chunk);
      }
      this.push(chunk.subarray(0, left));
      left = 0;
      setTimeout(then, 20);
    },
  });
}

function flipFirstByte(): Transform {
  let isDone = false;
  return new Transform({
    transform(chunk: Buffer, _, done) {
      if (!isDone) chunk[0]! ^= 1;
      isDone = true;
      done(null, chunk);
    },
  });
}
