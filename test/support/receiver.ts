/** A webhook receiver of the test's: remembers what it was sent, and answers as it is told. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** performance.now() when the whole request was there. */
  readonly at: number;
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly received: Received[];
  /** Ids of the events that came, in the order in which they did. */
  ids(): string[];
  types(): string[];
  answer(how: Answering): void;
  close(): Promise<void>;
}

export type Answering = (response: ServerResponse, received: Received, nth: number) => void;

export const withStatus =
  (status: number, headers: Record<string, string> = {}): Answering =>
  (response) =>
    void response.writeHead(status, headers).end(`status ${status}`);

export async function startReceiver(first: Answering = withStatus(200), port = 0): Promise<Receiver> {
  const received: Received[] = [];
  let answering = first;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url: path = '/', headers } = request;
      const one = { path, headers, body: Buffer.concat(chunks).toString(), at: performance.now() };
      received.push(one);
      answering(response, one, received.length);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const at = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${at}/hook`,
    port: at,
    received,
    ids: () => received.map(({ headers }) => headers['webhook-id'] as string),
    types: () => received.map(({ body }) => (JSON.parse(body) as { type: string }).type),
    answer: (how) => void (answering = how),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
