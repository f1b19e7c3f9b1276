/** The worker's HTTP server for health checks and metrics. Starts only when WORKER_HTTP_PORT is set. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { renderMetrics } from '#telemetry';

export interface WorkerServerOptions {
  readonly port: number;
  readonly host: string;
  readonly isConsuming: () => boolean;
}

interface Page {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

export async function startWorkerServer({ port, host, isConsuming }: WorkerServerOptions): Promise<Server> {
  const pages: Record<string, () => Promise<Page>> = {
    '/health/live': async () => toJsonPage(200, { status: 'ok' }),
    '/health/ready': async () =>
      isConsuming() ? toJsonPage(200, { status: 'ok' }) : toJsonPage(503, { status: 'failing' }),
    '/metrics': async () => ({ status: 200, ...(await renderMetrics()) }),
  };
  const server = createServer((request, response) => {
    const getPage = pages[request.url ?? ''] ?? (async () => toJsonPage(404, { status: 'not found' }));
    void getPage().then(({ status, contentType, text }) => {
      response.writeHead(status, { 'content-type': contentType }).end(text);
    });
  });
  server.listen(port, host);
  await once(server, 'listening');
  return server;
}

const toJsonPage = (status: number, body: unknown): Page => ({
  status,
  contentType: 'application/json',
  text: JSON.stringify(body),
});
