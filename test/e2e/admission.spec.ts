/** A batch that exceeds the workspace's limit is refused before anything is committed, with an error that the stock client reads. */
import OpenAI, { toFile } from 'openai';
import { startPlatform, type Platform } from '../support/platform.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform({ workers: 0, env: { WORKSPACE_MAX_PENDING_LINES: '5' } });
});
afterAll(() => platform?.stop());

const line = (at: number) =>
  JSON.stringify({
    custom_id: `row-${at}`,
    method: 'POST',
    url: '/v1/embeddings',
    body: { model: 'sandbox/embeddings', input: 'x' },
  });

test('a batch over the workspace’s limit gets 429 with Retry-After, and is accepted after another is cancelled', async () => {
  const client = new OpenAI({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
  const text = [1, 2, 3].map(line).join('\n');
  const file = await client.files.create({
    file: await toFile(Buffer.from(text), 'x.jsonl'),
    purpose: 'batch',
  });
  const create = () =>
    client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/embeddings',
      completion_window: '24h',
    });
  const first = await create();
  const error = await create().then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(OpenAI.RateLimitError);
  const { status, code, type, headers, message } = error as InstanceType<typeof OpenAI.RateLimitError>;
  expect({ status, code, type }).toEqual({
    status: 429,
    code: 'too_many_pending_lines',
    type: 'rate_limit_error',
  });
  expect(headers.get('retry-after')).toBe('60');
  expect(message).toContain('This workspace has 3 pending lines');
  expect((await client.batches.list()).data.map(({ id }) => id)).toEqual([first.id]);
  await client.batches.cancel(first.id);
  expect((await create()).status).toBe('validating');
});
