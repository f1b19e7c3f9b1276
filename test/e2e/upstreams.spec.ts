/**
 * The API with hosted providers: every kind that each supports, kinds that are chosen from the fields, media fetched by
 * URL, estimates from measured times, and a cancel that reaches the upstream.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { kindIds, findKind, type KindId } from '#catalogue';
import type { Page, TaskAttempt, TaskObject, TaskSummary } from '@millrace/contracts';
import { createProvidersAt } from '../integration/providers/provider-fixtures.ts';
import { startMediaHost, type MediaHost } from '../support/media-host.ts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { ScriptedUpstream } from '../support/upstream/server.ts';
import { sendRaw } from './support/raw-http.ts';

const withinMs = 60_000;
let upstream: ScriptedUpstream;
let host: MediaHost;
let folder: string;
let platform: Platform;
let picture: Buffer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-upstreams-'));
  picture = await sharp({ create: { width: 40, height: 30, channels: 3, background: 'red' } })
    .png()
    .toBuffer();
  upstream = await ScriptedUpstream.start();
  const cert = join(folder, 'cert.pem');
  host = await startMediaHost(cert, (request, response) => {
    if (request.url === '/picture.png') return response.setHeader('content-type', 'image/png').end(picture);
    if (request.url === '/page.png')
      return response.setHeader('content-type', 'image/png').end('<!doctype html>');
    if (request.url === '/large.png')
      return response.end(Buffer.concat([picture, Buffer.alloc(33 * 2 ** 20)]));
    if (request.url === '/away.png') return response.writeHead(302, { location: host.internalUrl }).end();
    return response.writeHead(404).end();
  });
  platform = await startPlatform({
    env: {
      OPENAI_COMPATIBLE: `scripted=${upstream.url}/v1`,
      HF_ENDPOINT: upstream.url,
      HF_ROUTER: upstream.url,
      HF_TOKEN: 'hf_scripted',
      OLLAMA_URL: upstream.url,
      MILLRACE_INPUT_ALLOW_HOSTS: host.host,
      NODE_EXTRA_CA_CERTS: cert,
    },
  });
});
afterEach(() => upstream.reset());
afterAll(async () => {
  await platform?.stop();
  await upstream?.close();
  await host?.close();
  await rm(folder, { recursive: true, force: true });
});

const get = async <T>(path: string): Promise<T> => JSON.parse((await sendRaw(platform, { path })).text) as T;
const post = async (body: object, headers = {}, path = '/v1/tasks') => {
  const answer = await sendRaw(platform, {
    path,
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...headers },
  });
  return { ...answer, body: JSON.parse(answer.text) };
};
const run = async (body: object) => (await post(body, { prefer: 'wait=60' })).body as TaskObject;
const newest = async () => (await get<Page<TaskSummary>>('/v1/tasks?limit=1')).data[0]?.id;

const modelOf: Record<string, (kind: KindId) => string> = {
  scripted: () => 'scripted/model',
  ollama: () => 'ollama/scripted',
  hf(kind) {
    if (kind === 'text-to-video' || kind === 'image-to-video') return `hf/fal/${kind}`;
    return `hf/owner/${kind === 'embeddings' ? 'feature-extraction' : kind}`;
  },
};

/** Kinds whose example has options that the provider refuses (docs/reference/provider-options.md). */
const refusedOptions: Record<string, readonly KindId[]> = {
  hf: ['automatic-speech-recognition', 'text-to-speech'],
};

/** The providers' own handler tables. The provider for OpenAI's API has another name here. */
const tables = createProvidersAt({ url: 'http://127.0.0.1:9' }).list.filter(({ id }) => id !== 'sandbox');

test.each(tables.map(({ id, handlers }) => [id === 'openai' ? 'scripted' : id, handlers] as const))(
  '%s runs every kind that it supports',
  async (provider, handlers) => {
    const claimed = kindIds.filter((kind) => kind in handlers);
    const tasks = await Promise.all(
      claimed.map(async (kind) => {
        const [{ input, options }] = findKind(kind).examples;
        const isRefused = refusedOptions[provider]?.includes(kind);
        return run({ kind, model: modelOf[provider]!(kind), input, ...(!isRefused && { options }) });
      }),
    );
    expect(tasks.map(({ kind, status, error }) => [kind, status, error])).toEqual(
      claimed.map((kind) => [kind, 'succeeded', null]),
    );
    const { data } = await get<{ data: TaskAttempt[] }>(`/v1/tasks/${tasks[0]!.id}/attempts`);
    expect(data).toMatchObject([{ provider, outcome: 'succeeded' }]);
  },
);

test('a kind is chosen from the fields if they are unambiguous, and the task names it', async () => {
  const messages = [{ role: 'user', content: 'why' }];
  expect(await run({ model: 'scripted/model', input: { messages } })).toMatchObject({
    kind: 'chat-completion',
    status: 'succeeded',
  });
  expect(await run({ kind: 'auto', model: 'hf/owner/reranker', input: { messages } })).toMatchObject({
    kind: 'chat-completion',
  });
  expect(await run({ model: 'scripted/model', input: { query: 'a', documents: ['b'] } })).toMatchObject({
    kind: 'reranking',
    status: 'succeeded',
  });
});

test.each<[string, object, object]>([
  [
    'fields of several kinds',
    { model: 'scripted/model', input: { prompt: 'A mill' } },
    { code: 'ambiguous_kind', param: 'kind', detail: expect.stringMatching(/text-to-image, text-to-video/) },
  ],
  [
    'fields of no kind',
    { model: 'scripted/model', input: { promt: 'A mill' } },
    { code: 'ambiguous_kind', detail: expect.stringContaining('chat-completion') },
  ],
  [
    'a model of an unknown provider',
    { model: 'unknown/model', input: { prompt: 'A mill' } },
    { code: 'model_not_found', param: 'model' },
  ],
  [
    'a missing key',
    { kind: 'inpainting', model: 'scripted/model', input: { prompt: 'A wheel' } },
    { param: 'input.image' },
  ],
  [
    'a wrong type',
    { kind: 'text-to-image', model: 'scripted/model', input: { prompt: 'a', n: 'two' } },
    { param: 'input.n' },
  ],
  [
    'an internal address',
    { kind: 'image-to-text', model: 'hf/owner/image-to-text', input: { image: 'https://10.0.0.1/a.png' } },
    { code: 'url_address_refused', param: 'image' },
  ],
])('%s: refused before anything is queued', async (_, body, problem) => {
  const before = await newest();
  expect(await post(body)).toMatchObject({ status: 400, body: { status: 400, ...problem } });
  expect(await newest()).toBe(before);
  expect(upstream.findCalls('')).toEqual([]);
});

describe('an image by URL', () => {
  const look = (path: string) =>
    run({
      kind: 'object-detection',
      model: 'sandbox/object-detection',
      input: { image: `${host.url}/${path}` },
    });

  test('is fetched over TLS and checked like inline media', async () => {
    const { status, error, output } = await look('picture.png');
    expect([status, error]).toEqual(['succeeded', null]);
    expect(output).toMatchObject({ objects: [{ box: { xmin: 0, ymin: 0, xmax: 40, ymax: 30 } }] });
  });

  test.each([
    ['large.png', { code: 'media_too_large', status: 400 }],
    ['page.png', { code: 'wrong_media_type', status: 400 }],
    ['none.png', { code: 'input_url_unreachable', status: 400 }],
    ['away.png', { code: 'input_url_unreachable', status: 400 }],
  ])('%s fails with %j', async (path, error) => {
    expect(await look(path)).toMatchObject({ status: 'failed', error });
    expect(host.countInternalRequests()).toBe(0);
  });
});

test('the cancel of a video that is being generated reaches the upstream', async () => {
  upstream.videos.pollsUntilDone = upstream.predictions.pollsUntilDone = 1_000;
  for (const [model, method] of [
    ['scripted/video', 'DELETE'],
    ['hf/fal/text-to-video', 'PUT'],
  ] as const) {
    const { body } = await post({ kind: 'text-to-video', model, input: { prompt: 'A mill' } });
    const looks = () => upstream.calls.filter(({ path }) => /status$|videos\/video_/.test(path));
    await waitUntil(() => looks().length > 1, { what: 'the video to be generated', withinMs });
    await post({}, {}, `/v1/tasks/${body.id}/cancel`);
    await waitUntil(() => upstream.findCalls('', method).length > 0, {
      what: 'the cancel to reach the upstream',
      withinMs,
    });
    expect(await get(`/v1/tasks/${body.id}`)).toMatchObject({ status: 'canceled' });
    upstream.reset();
  }
  upstream.videos.pollsUntilDone = upstream.predictions.pollsUntilDone = 4;
});

test('an estimate comes from earlier tasks of the model, and follows a model whose time doubles', async () => {
  const messages = [{ role: 'user', content: 'how long' }];
  const errors: number[] = [];
  const timed = async (callMs: number) => {
    upstream.timing = { callMs, itemMs: 0, pieceMs: 0 };
    const { id } = (await post({ kind: 'chat-completion', model: 'scripted/timed', input: { messages } }))
      .body;
    const seen: TaskObject[] = [];
    await waitUntil(
      async () => {
        seen.push(await get<TaskObject>(`/v1/tasks/${id}`));
        return seen.at(-1)!.status === 'succeeded';
      },
      { what: 'the timed chat', withinMs },
    );
    const shown = seen.flatMap(({ status, progress }) =>
      status === 'running' && progress ? [progress] : [],
    );
    const took = seen.at(-1)!.progress!.elapsed_seconds;
    const shownPercents = shown.flatMap(({ percent, source, elapsed_seconds: elapsed }) => {
      if (percent === null) return [];
      errors.push(Math.abs(percent - (elapsed / took) * 100));
      expect(source).toBe('estimate');
      return [percent];
    });
    expect(shownPercents).toEqual([...shownPercents].sort((a, b) => a - b));
    expect(Math.max(0, ...shownPercents)).toBeLessThanOrEqual(95);
    return { estimated: seen.at(-1)!.progress!.estimated_seconds, took, shownPercents: shownPercents.length };
  };
  const first = await timed(600);
  expect(first).toMatchObject({ estimated: null, shownPercents: 0 });
  const second = await timed(600);
  expect(second.estimated).toBeGreaterThanOrEqual(0.6);
  expect(second.shownPercents).toBeGreaterThan(0);
  errors.length = 0;
  const doubled = await timed(1_200);
  const mean = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  console.log(
    `a chat whose time doubled: estimated ${doubled.estimated} s, took ${doubled.took} s; ` +
      `mean error ${mean.toFixed(1)} points in ${errors.length} looks`,
  );
  expect(doubled.estimated).toBeLessThan(doubled.took);
  expect(mean).toBeLessThan(60);
  for (let again = 0; again < 2; again++) await timed(1_200);
  expect((await timed(1_200)).estimated).toBeGreaterThan(doubled.estimated!);
});
