/** A worker's own small server, where a setting names its port: is it alive, does it take work, its metrics. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { metricsText } from '#telemetry';

export interface WorkerServerOptions {
  readonly port: number;
  readonly host: string;
  readonly isConsuming: () => boolean;
}

export async function startWorkerServer({ port, host, isConsuming }: WorkerServerOptions): Promise<Server> {
  const answers: Record<string, () => Promise<{ status: number; contentType: string; text: string }>> = {
    '/health/live': async () => json(200, { status: 'ok' }),
    '/health/ready': async () =>
      isConsuming() ? json(200, { status: 'ok' }) : json(503, { status: 'failing' }),
    '/metrics': async () => ({ status: 200, ...(await metricsText()) }),
  };
  const server = createServer((request, response) => {
    const answer = answers[request.url ?? ''] ?? (async () => json(404, { status: 'no such page' }));
    void answer().then(({ status, contentType, text }) => {
      response.writeHead(status, { 'content-type': contentType }).end(text);
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

const json = (status: number, body: unknown) => ({
  status,
  contentType: 'application/json',
  text: JSON.stringify(body),
});
