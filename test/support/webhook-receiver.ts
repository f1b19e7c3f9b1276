/** A webhook receiver of the test's: remembers what it was sent, and answers as it is told. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** performance.now() when the whole request was there. */
  readonly at: number;
}

export interface WebhookReceiver {
  readonly url: string;
  readonly port: number;
  readonly requests: ReceivedRequest[];
  /** Ids of the events that came, in the order in which they did. */
  listEventIds(): string[];
  listEventTypes(): string[];
  respondWith(how: Responder): void;
  close(): Promise<void>;
}

export type Responder = (response: ServerResponse, received: ReceivedRequest, nth: number) => void;

export const respondWithStatus =
  (status: number, headers: Record<string, string> = {}): Responder =>
  (response) =>
    void response.writeHead(status, headers).end(`status ${status}`);

export async function startWebhookReceiver(
  first: Responder = respondWithStatus(200),
  port = 0,
): Promise<WebhookReceiver> {
  const requests: ReceivedRequest[] = [];
  let answering = first;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url: path = '/', headers } = request;
      const one = { path, headers, body: Buffer.concat(chunks).toString(), at: performance.now() };
      requests.push(one);
      answering(response, one, requests.length);
    });
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const at = (server.address() as AddressInfo).port;
  return {
    url: `http://127.0.0.1:${at}/hook`,
    port: at,
    requests,
    listEventIds: () => requests.map(({ headers }) => headers['webhook-id'] as string),
    listEventTypes: () => requests.map(({ body }) => (JSON.parse(body) as { type: string }).type),
    respondWith: (how) => void (answering = how),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
