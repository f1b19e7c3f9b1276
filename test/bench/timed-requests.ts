/** Sends direct requests over kept-alive connections, timed from the start of the request to the end of the response. */
import { Agent, request } from 'node:http';
import type { Deployment } from './deployment.ts';

export interface Requester {
  /** @returns its duration in ms. @throws Error if the status is not 200 */
  send(body: string, path?: string): Promise<number>;
  close(): void;
}

/** @param connections maximum number of connections; they are kept alive. */
export function createRequester(
  { url, apiKey }: Pick<Deployment, 'url' | 'apiKey'>,
  connections: number,
): Requester {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const { hostname, port } = new URL(url);
  return {
    send(body, path = '/v1/embeddings') {
      const began = performance.now();
      return new Promise((resolve, reject) => {
        const headers = {
          authorization: `Bearer ${apiKey}`,
          ...(body && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
        };
        const method = body ? 'POST' : 'GET';
        const sent = request({ agent, hostname, port, path, method, headers }, (answer) => {
          let text = '';
          answer.setEncoding('utf8').on('data', (part: string) => (text += part));
          answer.on('end', () => {
            if (answer.statusCode === 200) resolve(performance.now() - began);
            else reject(new Error(`${path} answered ${answer.statusCode}: ${text}`));
          });
        });
        sent.on('error', reject);
        sent.end(body);
      });
    },
    close: () => agent.destroy(),
  };
}

/** @param share 0 to 1. @returns the value that this share of them is at most. */
export function percentile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)] ?? NaN;
}
