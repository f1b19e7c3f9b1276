/**
 * An HTTP proxy before an S3 server, which fails as such servers and the networks before them do: errors, silence,
 * connections that break on the way there or back, answers that are not true. Requests pass as they are signed.
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
  /** The answer comes so much later. */
  | { readonly kind: 'slow'; readonly ms: number }
  /**
   * The connection breaks once the server has been given the whole request: nobody learns what it did. Silently: no
   * byte comes any more, and the client's own time-out ends it. (Within Jest the SDK does not know the error of a
   * broken connection for one, as it comes from another realm.)
   */
  | { readonly kind: 'lost-answer'; readonly silently?: boolean }
  /** The connection breaks after so many bytes of the request's body. */
  | { readonly kind: 'cut-request'; readonly afterBytes: number }
  /** The connection breaks, or goes silent, after so many bytes of the answer's body. */
  | { readonly kind: 'cut-answer' | 'stall-answer'; readonly afterBytes: number }
  | { readonly kind: 'wrong-etag' }
  /** One byte of the answer's body is another. */
  | { readonly kind: 'flip' };

export interface S3Proxy {
  readonly endpoint: string;
  /** Operations so far, in order, with those that were made to fail. */
  readonly operations: Operation[];
  /** From now on, the next `times` requests of that operation fail so. */
  inject(operation: Operation, fault: Fault, times?: number): void;
  /** No more faults. */
  clearFaults(): void;
  close(): Promise<void>;
}

export async function startS3Proxy(upstream: string): Promise<S3Proxy> {
  const { hostname, port } = new URL(upstream);
  const faults = new Map<Operation, { fault: Fault; left: number }>();
  const operations: Operation[] = [];
  const server = createServer((incoming, answer) => {
    const operation = parseOperation(incoming);
    operations.push(operation);
    const injected = faults.get(operation);
    const fault = injected && injected.left-- > 0 ? injected.fault : null;
    // A request that was read to its end is destroyed without its connection: the connection is what breaks here.
    incoming.on('error', () => undefined);
    answer.on('error', () => undefined);
    void forward(incoming, answer, fault, { hostname, port }).catch(() => incoming.socket.destroy());
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
  answer: ServerResponse,
  fault: Fault | null,
  to: { hostname: string; port: string },
): Promise<void> {
  if (fault?.kind === 'status') {
    incoming.resume();
    await once(incoming, 'end');
    const body = `<?xml version="1.0"?><Error><Code>${fault.code}</Code><Message>injected</Message></Error>`;
    answer.writeHead(fault.status, { 'content-type': 'application/xml' }).end(body);
    return;
  }
  const { method, url, headers } = incoming;
  const onward = request({ ...to, method, path: url, headers, agent: false });
  onward.on('error', () => incoming.socket.destroy());
  answer.on('close', () => onward.destroy());
  if (fault?.kind === 'cut-request')
    incoming.pipe(cutAfter(fault.afterBytes, () => incoming.socket.destroy())).pipe(onward);
  else incoming.pipe(onward);
  const [response] = (await once(onward, 'response')) as [IncomingMessage];
  response.on('error', () => answer.destroy());
  if (fault?.kind === 'lost-answer') {
    response.resume();
    await once(response, 'end');
    if (!fault.silently) incoming.socket.destroy();
    return;
  }
  if (fault?.kind === 'slow') await sleep(fault.ms);
  const changed = { ...response.headers };
  if (fault?.kind === 'wrong-etag') changed['etag'] = `"${'0'.repeat(32)}"`;
  answer.writeHead(response.statusCode!, changed);
  if (fault?.kind === 'flip') response.pipe(flipFirstByte()).pipe(answer);
  else if (fault?.kind === 'cut-answer')
    response.pipe(cutAfter(fault.afterBytes, () => incoming.socket.destroy())).pipe(answer);
  else if (fault?.kind === 'stall-answer')
    response.pipe(cutAfter(fault.afterBytes, () => undefined)).pipe(answer);
  else response.pipe(answer);
}

/** Passes so many bytes, and then nothing more. */
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
