/** Simulates an internet host that inputs name by URL: TLS with a host name, on this machine. */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer as createHttpServer, type RequestListener, type Server } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createCertificate } from './certificate.ts';

export interface MediaHost {
  /** `https://localhost:PORT`. */
  readonly url: string;
  /** As `MILLRACE_INPUT_ALLOW_HOSTS` names it. */
  readonly host: string;
  /** An internal URL that must never be fetched. Its server counts requests. */
  readonly internalUrl: string;
  /** Number of requests to `internalUrl`. */
  readonly countInternalRequests: () => number;
  close(): Promise<void>;
}

/** @param certPath file for the certificate that clients must trust. */
export async function startMediaHost(certPath: string, answer: RequestListener): Promise<MediaHost> {
  let hits = 0;
  const { cert, key } = createCertificate('localhost');
  await writeFile(certPath, cert);
  const outer = createServer({ cert, key }, answer);
  const inner = createHttpServer((_, response) => {
    hits++;
    response.end('secret');
  });
  const [port, innerPort] = await Promise.all([listen(outer), listen(inner)]);
  return {
    url: `https://localhost:${port}`,
    host: `localhost:${port}`,
    internalUrl: `http://127.0.0.1:${innerPort}/secret`,
    countInternalRequests: () => hits,
    async close() {
      for (const server of [outer, inner]) {
        server.closeAllConnections();
        server.close();
        await once(server, 'close');
      }
    },
  };
}

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
