/** Batches of every kind through `/v1/tasks`, and of OpenAI's endpoints in OpenAI's shapes. */
import type OpenAI from 'openai';
import sharp from 'sharp';
import { kindIds, findKind } from '#catalogue';
import { exampleImage, exampleAudio } from '../../libs/catalogue/example-media.ts';
import { terminalStatuses, startPlatform, waitUntil, type Platform } from '../support/platform.ts';

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(() => platform?.stop());

interface BatchRecord {
  readonly custom_id: string;
  readonly response: { readonly status_code: number; readonly body: Record<string, unknown> };
}

/** Runs a batch with one line for each body, and waits for its end. */
async function run(endpoint: string, bodies: readonly object[]) {
  const { client } = platform;
  const requests = bodies.map((body, at) => ({ custom_id: `row-${at}`, body }));
  let batch = await client.post<OpenAI.Batch>('/batches', {
    body: { endpoint, completion_window: '24h', requests },
  });
  await waitUntil(
    async () => terminalStatuses.includes((batch = await client.batches.retrieve(batch.id)).status),
    {
      what: `the batch on ${endpoint} to end`,
      withinMs: 120_000,
    },
  );
  const read = async (id: string | null | undefined) => {
    if (!id) return [];
    const text = await (await client.files.content(id)).text();
    const records = text
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as BatchRecord);
    return records.sort((a, b) => (a.custom_id < b.custom_id ? -1 : 1));
  };
  return { batch, output: await read(batch.output_file_id), errors: await read(batch.error_file_id) };
}

test('every kind runs as a batch through /v1/tasks, with its media in the output lines', async () => {
  const ended = await Promise.all(
    kindIds.map(async (kind) => {
      const [{ model, input, options }] = findKind(kind).examples;
      // The second line has no kind, the third an invalid input.
      const bodies = [
        { kind, model, input, options },
        { model, input, options },
        { kind, model, input: {} },
      ];
      return [kind, await run('/v1/tasks', bodies)] as const;
    }),
  );
  for (const [kind, { batch, output, errors }] of ended) {
    expect([kind, batch.status, batch.request_counts]).toEqual([
      kind,
      'completed',
      { total: 3, completed: 2, failed: 1 },
    ]);
    expect(errors).toMatchObject([{ custom_id: 'row-2', response: { status_code: 400 } }]);
    for (const { response } of output) {
      expect(response.body['millrace']).toEqual({ simulated: true });
      JSON.stringify(response.body, (_, value) => {
        if (value?.object === 'media') expect(Buffer.from(value.data, 'base64')).toHaveLength(value.bytes);
        return value;
      });
    }
  }
});

const user = { role: 'user', content: 'Why does the mill turn?' };
const image = { prompt: 'A mill', size: '64x64' };

test.each<[string, object[], object]>([
  [
    '/v1/chat/completions',
    [{ model: 'sandbox/chat-completion', messages: [user] }],
    { object: 'chat.completion', choices: [{ message: { role: 'assistant' }, finish_reason: 'stop' }] },
  ],
  [
    '/v1/completions',
    [{ model: 'sandbox/text-generation', prompt: 'The mill' }],
    { object: 'text_completion', choices: [{ finish_reason: 'stop' }] },
  ],
  [
    '/v1/moderations',
    [{ model: 'sandbox/moderation', input: 'The mill turns.' }],
    { results: [{ flagged: false }] },
  ],
  [
    '/v1/embeddings',
    [{ model: 'sandbox/embeddings', input: 'The mill turns.' }],
    { object: 'list', data: [{ object: 'embedding' }] },
  ],
  [
    '/v1/images/generations',
    [{ model: 'sandbox/text-to-image', ...image, n: 1, style: null, response_format: 'b64_json' }],
    { created: expect.any(Number), data: [{ b64_json: expect.any(String) }] },
  ],
  [
    '/v1/images/edits',
    [{ model: 'sandbox/image-to-image', ...image, images: [{ image_url: exampleImage }] }],
    { data: [{ b64_json: expect.any(String) }] },
  ],
  [
    '/v1/images/edits',
    [{ model: 'sandbox/inpainting', ...image, image: exampleImage, mask: { image_url: exampleImage } }],
    { data: [{ b64_json: expect.any(String) }] },
  ],
  [
    '/v1/videos',
    [{ model: 'sandbox/text-to-video', ...image, seconds: '1' }],
    {
      ...{ object: 'video', status: 'completed', progress: 100, seconds: '1', size: '64x64' },
      millrace: { simulated: true, video: { content_type: 'video/mp4', data: expect.any(String) } },
    },
  ],
  [
    '/v1/videos',
    [
      {
        model: 'sandbox/image-to-video',
        ...image,
        seconds: 1,
        input_reference: { image_url: exampleImage },
      },
    ],
    { object: 'video', millrace: { video: { content_type: 'video/mp4' } } },
  ],
  [
    '/v1/audio/speech',
    [{ model: 'sandbox/text-to-speech', input: 'The mill turns.', voice: 'alloy' }],
    { audio: { content_type: 'audio/wav', data: expect.any(String) } },
  ],
  [
    '/v1/audio/transcriptions',
    [{ model: 'sandbox/automatic-speech-recognition', file: exampleAudio, response_format: 'verbose_json' }],
    { task: 'transcribe', text: expect.any(String), segments: [{ id: 0, start: expect.any(Number) }] },
  ],
  [
    '/v1/audio/translations',
    [{ model: 'sandbox/automatic-speech-recognition', file: exampleAudio }],
    { text: expect.any(String) },
  ],
])('%s: %j has a response in OpenAI’s shape', async (endpoint, bodies, answer) => {
  const { batch, output, errors } = await run(endpoint, bodies);
  expect(errors).toEqual([]);
  expect(batch.request_counts).toEqual({ total: 1, completed: 1, failed: 0 });
  expect(output[0]!.response).toMatchObject({ status_code: 200, body: answer });
});

test('an image of a batch has the requested size', async () => {
  const { output } = await run('/v1/images/generations', [{ model: 'sandbox/text-to-image', ...image }]);
  const [{ b64_json: base64 }] = output[0]!.response.body['data'] as [{ b64_json: string }];
  expect(await sharp(Buffer.from(base64, 'base64')).metadata()).toMatchObject({ width: 64, height: 64 });
});

test('only a line whose kind differs from the first line’s is refused', async () => {
  const model = 'sandbox/text-to-video';
  const video = { model, ...image, seconds: 1 };
  const { batch, errors } = await run('/v1/videos', [video, { ...video, input_reference: exampleImage }]);
  expect(batch.request_counts).toEqual({ total: 2, completed: 1, failed: 1 });
  expect(errors).toMatchObject([
    { custom_id: 'row-1', response: { status_code: 400, body: { error: { code: 'kind_mismatch' } } } },
  ]);
});
