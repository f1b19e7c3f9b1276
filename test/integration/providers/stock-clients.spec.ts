/** The scripted upstream works with the official clients of the APIs that it simulates. */
import { InferenceClient } from '@huggingface/inference';
import { Ollama } from 'ollama';
import OpenAI, { toFile } from 'openai';
import { png, wav } from '../../support/upstream/model-outputs.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';

let upstream: ScriptedUpstream;
let openai: OpenAI;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  openai = new OpenAI({ baseURL: `${upstream.url}/v1`, apiKey: 'x', maxRetries: 0 });
});
afterEach(() => upstream.reset());
afterAll(() => upstream.close());

const model = 'scripted';
const messages = [{ role: 'user' as const, content: 'why does it turn' }];
const said = 'You said: why does it turn';

test('openai: text', async () => {
  const vectors = await openai.embeddings.create({ model, input: ['a', 'bbb'] });
  expect(vectors.data.map(({ embedding }) => embedding[0])).toEqual([1, 3]);
  const chat = await openai.chat.completions.create({ model, messages });
  expect(chat.choices[0]!.message.content).toBe(said);
  const text = await openai.completions.create({ model, prompt: 'why does it turn' });
  expect(text.choices[0]!.text).toBe(said);
  const pieces = await openai.completions.create({
    model,
    prompt: 'why does it turn',
    stream: true,
    stream_options: { include_usage: true },
  });
  let last: OpenAI.Completion | undefined;
  for await (const piece of pieces) last = piece;
  expect(last!.usage).toEqual(text.usage);
  let streamed = '';
  for await (const { choices } of openai.chat.completions.stream({ model, messages })) {
    streamed += choices[0]?.delta.content ?? '';
  }
  expect(streamed).toBe(said);
  const { results } = await openai.moderations.create({ model, input: ['fine', 'harm'] });
  expect(results.map(({ flagged }) => flagged)).toEqual([false, true]);
  expect((await openai.models.list()).data).toContainEqual(expect.objectContaining({ id: 'scripted' }));
});

test('openai: images, audio, videos', async () => {
  const drawn = await openai.images.generate({ model, prompt: 'a mill', n: 2 });
  expect(drawn.data).toHaveLength(2);
  const image = await toFile(png, 'a.png', { type: 'image/png' });
  expect((await openai.images.edit({ model, image, prompt: 'snow' })).data).toHaveLength(1);
  const speech = await openai.audio.speech.create({ model, input: 'hello', voice: 'alloy' });
  expect(Buffer.from(await speech.arrayBuffer())).toEqual(wav);
  const file = await toFile(wav, 'a.wav', { type: 'audio/wav' });
  expect(await openai.audio.transcriptions.create({ model, file })).toEqual({ text: '64 bytes were said' });
  const video = await openai.videos.create({ model, prompt: 'a mill' });
  const progress: number[] = [];
  for (let { status } = video; status !== 'completed';) {
    const look = await openai.videos.retrieve(video.id);
    progress.push(look.progress);
    ({ status } = look);
  }
  expect(progress).toEqual([0, 25, 50, 75, 100]);
  expect((await openai.videos.downloadContent(video.id)).headers.get('content-type')).toBe('video/mp4');
  expect((await openai.videos.delete(video.id)).deleted).toBe(true);
});

test('openai: faults', async () => {
  upstream.script({ status: 429, headers: { 'retry-after': '3' }, times: 1 });
  await expect(openai.models.list()).rejects.toMatchObject({ status: 429 });
  expect((await openai.models.list()).data).toContainEqual(expect.objectContaining({ id: 'scripted' }));
  expect(upstream.calls.map(({ status }) => status)).toEqual([429, 200]);
});

const origins = /^https:\/\/(router\.)?huggingface\.co/;

test('@huggingface/inference: chat through the router, and tasks', async () => {
  const here: typeof fetch = (url, init) => fetch((url as string).replace(origins, upstream.url), init);
  const client = new InferenceClient('hf_x', { fetch: here, retry_on_error: false });
  const chat = await client.chatCompletion({ model: 'o/m:fastest', messages });
  expect(chat.choices[0]!.message.content).toBe(said);
  let streamed = '';
  for await (const { choices } of client.chatCompletionStream({ model: 'o/m', messages })) {
    streamed += choices[0]?.delta.content ?? '';
  }
  expect(streamed).toBe(said);
  const provider = 'hf-inference';
  expect(
    await client.featureExtraction({ model: 'o/feature-extraction', provider, inputs: ['a'] }),
  ).toHaveLength(1);
  expect(await client.summarization({ model: 'o/summarization', provider, inputs: 'a mill' })).toHaveProperty(
    'summary_text',
  );
  const inputs = new Blob([new Uint8Array(png)], { type: 'image/png' });
  expect(await client.objectDetection({ model: 'o/object-detection', provider, inputs })).toHaveLength(1);
});

test('@huggingface/inference: videos, polled in fal’s queue and awaited at Replicate', async () => {
  const real = globalThis.fetch;
  globalThis.fetch = (url, init) => real((url as string).replace(origins, upstream.url), init);
  upstream.predictions.pollsUntilDone = 1;
  try {
    const client = new InferenceClient('hf_x', { retry_on_error: false });
    for (const [owner, provider] of [
      ['fal', 'fal-ai'],
      ['replicate', 'replicate'],
    ] as const) {
      const video = await client.textToVideo({ model: `${owner}/text-to-video`, provider, inputs: 'a mill' });
      expect(video.type).toBe('video/mp4');
    }
  } finally {
    globalThis.fetch = real;
    upstream.predictions.pollsUntilDone = 4;
  }
});

test('ollama: streamed as NDJSON, and not streamed', async () => {
  const client = new Ollama({ host: upstream.url });
  const whole = await client.chat({ model, messages });
  expect(whole.message.content).toBe(said);
  let streamed = '';
  for await (const { message } of await client.chat({ model, messages, stream: true }))
    streamed += message.content;
  expect(streamed).toBe(said);
  expect((await client.embed({ model, input: ['a', 'bb'] })).embeddings.map(([first]) => first)).toEqual([
    1, 2,
  ]);
  await client.pull({ model: 'pull-me' });
  await expect(client.pull({ model: 'pull-nothing' })).rejects.toThrow('file does not exist');
  expect((await client.list()).models.map(({ name }) => name)).toEqual(['scripted:latest', 'pull-me:latest']);
});
