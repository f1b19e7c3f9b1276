/** The samples of docs/guides/add-a-kind.md and add-a-provider.md work as the pages say. */
import { createServer } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { createAcme } from '../../samples/acme.ts';
import { imageMatching } from '../../samples/image-matching.ts';

test('the kind accepts its example and refuses a body without its images', () => {
  const [{ model, input }] = imageMatching.examples;
  expect(imageMatching.body.safeParse({ model, ...input }).success).toBe(true);
  expect(imageMatching.body.safeParse({ model }).success).toBe(false);
});

test('the provider sends the call’s credential and returns the vectors', async () => {
  const tokens: (string | undefined)[] = [];
  const server = createServer((request, response) => {
    tokens.push(request.headers.authorization);
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ vectors: [[1, 2]], tokens: 3 }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const provider = createAcme({ url: `http://127.0.0.1:${port}`, token: 'secret', concurrency: 1 });
  const call = { model: 'm', credential: provider.defaultCredential, input: { inputs: ['a text'] } };
  const run = { signal: AbortSignal.timeout(10_000) };
  const output = await provider.handlers.embeddings!(call, run as never);
  expect([...output.vectors[0]!]).toEqual([1, 2]);
  expect(tokens).toEqual(['Bearer secret']);
  server.close();
});
