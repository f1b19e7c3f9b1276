/** No library below ends a call before our own time-out does: docs/reference/timeouts.md. */
import { kindIds, findKind } from '#catalogue';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { openAIClientOptions } from '../../libs/providers/openai-compatible/connection.ts';
import { fetchUpstream, upstreamAgentOptions, upstreamLimits } from '../../libs/providers/upstream-fetch.ts';
import { openBucket } from '../../libs/storage/s3/bucket.ts';

const longestCallMs = Math.max(...kindIds.map((id) => findKind(id).maxTimeoutMs));

test('the fetch of the providers has no time-out after the connection', () => {
  expect(upstreamAgentOptions).toMatchObject({
    headersTimeout: 0,
    bodyTimeout: 0,
    connect: { timeout: 10_000 },
    maxHeaderSize: 65_536,
  });
  expect(upstreamLimits).toMatchObject({
    maxTextBytes: 2 ** 28,
    maxFileBytes: 2 ** 30,
    maxErrorBytes: 2 ** 16,
  });
});

test("OpenAI's client does not retry, and its time-out is longer than any call", () => {
  expect(openAIClientOptions.maxRetries).toBe(0);
  expect(openAIClientOptions.timeout).toBeGreaterThan(longestCallMs);
  expect(openAIClientOptions.fetch).toBe(fetchUpstream);
});

test('the S3 client has our times', async () => {
  const bucket = openBucket({ bucket: 'x', region: 'us-east-1', accessKeyId: 'x', secretAccessKey: 'x' });
  try {
    const { config } = bucket.client;
    const handler = config.requestHandler as unknown as { configProvider: Promise<Record<string, unknown>> };
    expect(await handler.configProvider).toMatchObject({
      connectionTimeout: 3_000,
      socketTimeout: 15_000,
      requestTimeout: 120_000,
      throwOnRequestTimeout: true,
    });
    expect(await config.maxAttempts()).toBe(4);
  } finally {
    bucket.close();
  }
});

test('an answer that begins late and comes in pieces is read whole, by the dispatcher that the calls use', async () => {
  const server = createServer((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.write('{"a":');
    setTimeout(() => response.end('"\\u0000"}'), 50);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    const response = await fetchUpstream(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    expect(await response.json()).toEqual({ a: '\ufffd' });
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
