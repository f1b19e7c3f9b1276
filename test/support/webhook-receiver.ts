/** A webhook receiver for tests: stores its requests and responds as configured. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface ReceivedRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** `performance.now()` when the request was complete. */
  readonly at: number;
}

export interface WebhookReceiver {
  readonly url: string;
  readonly port: number;
  readonly requests: ReceivedRequest[];
  /** Ids of the events, in order of arrival. */
  listEventIds(): string[];
  listEventTypes(): string[];
  respondWith(responder: Responder): void;
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
  let responder = first;
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url: path = '/', headers } = request;
      const received = { path, headers, body: Buffer.concat(chunks).toString(), at: performance.now() };
      requests.push(received);
      responder(response, received, requests.length);
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
    respondWith: (next) => void (responder = next),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
