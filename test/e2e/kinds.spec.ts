/** Every kind on the sandbox through the API; chat and videos with two majors of the stock client; progress of tasks. */
import OpenAI from 'openai';
import OpenAI6 from 'openai6';
import sharp from 'sharp';
import type { Page, TaskAttempt, TaskObject, TaskSummary } from '@millrace/contracts';
import { startPlatform, waitUntil, type Platform } from '../support/platform.ts';
import { startRedis, type TestRedis } from '../support/redis.ts';
import { sendRaw } from './support/raw-http.ts';

const majors = { 'openai 7': OpenAI, 'openai 6': OpenAI6 as unknown as typeof OpenAI };
const sandbox = (options: object) => ({ sandbox: JSON.stringify(options) });

interface KindObject {
  id: string;
  examples: { model: string; input: object; options: object }[];
}
interface Output {
  millrace: object;
  objects: { box: object }[];
}
interface Media {
  content_type: string;
  bytes: number;
  url: string;
}

describe.each(['postgres', 'redis'] as const)('on %s', (backend) => {
  let platform: Platform;
  let redis: TestRedis | null = null;
  beforeAll(async () => {
    redis = backend === 'redis' ? await startRedis() : null;
    platform = await startPlatform({ ...(redis && { redisUrl: redis.url }) });
  });
  afterAll(async () => {
    await platform?.stop();
    await redis?.dispose();
  });

  const get = async <T>(path: string): Promise<T> =>
    JSON.parse((await sendRaw(platform, { path })).text) as T;
  const post = async (path: string, body: object, headers = {}) => {
    const answer = await sendRaw(platform, {
      path,
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...headers },
    });
    return { ...answer, body: JSON.parse(answer.text) };
  };
  const run = async (body: object) =>
    (await post('/v1/tasks', body, { prefer: 'wait=30' })).body as TaskObject & { output: Output };

  test('every kind runs its example, and its media have the type and size of their objects', async () => {
    const { data } = await get<{ data: KindObject[] }>('/v1/kinds');
    expect(data).toHaveLength(31);
    for (const { id, examples } of data) {
      const [{ model, input, options }] = examples as [KindObject['examples'][0]];
      const task = await run({ kind: id, model, input, options });
      expect([id, task.status, task.error]).toEqual([id, 'succeeded', null]);
      expect(task.output.millrace).toEqual({ simulated: true });
      const media: Media[] = [];
      JSON.stringify(task.output, (_, value) => {
        if (value?.object === 'media') media.push(value);
        return value;
      });
      for (const { url, bytes, content_type: type } of media) {
        const answer = await fetch(url);
        expect(answer.headers.get('content-type')).toBe(type);
        const body = Buffer.from(await answer.arrayBuffer());
        expect(body.length).toBe(bytes);
        if (type === 'audio/wav') expect(body.toString('latin1', 8, 16)).toBe('WAVEfmt ');
        else if (type === 'video/mp4') expect(body.toString('latin1', 4, 8)).toBe('ftyp');
        else expect((await sharp(body).stats()).isOpaque).toBe(true);
      }
    }
  });

  test('the kind is chosen from model and input; an unknown kind is refused', async () => {
    const made = await run({ model: 'sandbox/text-to-image', input: { prompt: 'A mill' } });
    expect(made).toMatchObject({ kind: 'text-to-image', status: 'succeeded' });
    const unknown = await post('/v1/tasks', { kind: 'none', model: 'sandbox/translation', input: {} });
    expect(unknown).toMatchObject({ status: 400, body: { code: 'unknown_kind' } });
  });

  test.each<[string, object, object]>([
    ['a missing field', { kind: 'text-to-image', input: {} }, { param: 'input.prompt' }],
    ['a wrong type', { kind: 'translation', input: { text: 7 } }, { param: 'input.text' }],
    ['invalid base64', { kind: 'image-to-text', input: { image: '???' } }, { param: 'input.image' }],
    [
      'text for an image',
      { kind: 'image-to-text', input: { image: 'aGFsbG8gd2VsdA==' } },
      { code: 'wrong_media_type' },
    ],
    [
      'a data URI whose type is not the type of its bytes',
      { kind: 'image-to-text', input: { image: 'data:image/png;base64,UklGRiQAAABXQVZFZm10IBAAAAA=' } },
      { code: 'wrong_media_type' },
    ],
    [
      'a file that does not exist',
      { kind: 'image-to-text', input: { image: `file_${'0'.repeat(32)}` } },
      { code: 'file_not_found' },
    ],
    [
      'an internal address',
      { kind: 'image-to-text', input: { image: 'https://127.0.0.1/x.png' } },
      { param: 'image' },
    ],
    [
      'a field in both input and options',
      { kind: 'translation', input: { text: 'a' }, options: { text: 'b' } },
      { param: 'options.text' },
    ],
    [
      'a timeout above the maximum',
      { kind: 'translation', input: { text: 'a' }, timeout: 1e6 },
      { param: 'timeout' },
    ],
    [
      'a model of a different kind',
      { kind: 'translation', model: 'sandbox/summarization', input: { text: 'a' } },
      { code: 'model_not_found' },
    ],
    [
      'an image for a model without vision',
      {
        kind: 'chat-completion',
        model: 'sandbox/chat-completion:blind',
        input: {
          messages: [
            {
              role: 'user',
              content: [{ type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }],
            },
          ],
        },
      },
      { code: 'images_not_supported' },
    ],
  ])('%s is refused before it is queued', async (_, body, problem) => {
    const { kind } = body as { kind: string };
    const answer = await post('/v1/tasks', { model: `sandbox/${kind}`, ...body });
    expect(answer).toMatchObject({ status: 400, body: { status: 400, ...problem } });
  });

  test('an image with too many pixels is refused; an uploaded image is used', async () => {
    const large = await sharp({ create: { width: 8_000, height: 8_000, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const input = { image: large.toString('base64') };
    expect(
      await post('/v1/tasks', { kind: 'image-to-text', model: 'sandbox/image-to-text', input }),
    ).toMatchObject({
      status: 400,
      body: { code: 'too_many_pixels' },
    });
    const small = await sharp({ create: { width: 40, height: 30, channels: 3, background: 'red' } })
      .png()
      .toBuffer();
    const file = await platform.client.files.create({
      file: new File([small], 'red.png'),
      purpose: 'user_data',
    });
    const detected = await run({
      kind: 'object-detection',
      model: 'sandbox/object-detection',
      input: { image: file.id },
    });
    expect(detected.output.objects[0]!.box).toEqual({ xmin: 0, ymin: 0, xmax: 40, ymax: 30 });
  });

  describe.each(Object.entries(majors))('%s', (_, Client) => {
    let client: OpenAI;
    beforeAll(() => {
      client = new Client({ apiKey: platform.apiKey, baseURL: `${platform.url}/v1`, maxRetries: 0 });
    });
    const model = 'sandbox/chat-completion';
    const messages = [{ role: 'user' as const, content: 'Why does the mill turn?' }];

    test('a chat answer is the same streamed and not streamed', async () => {
      const whole = await client.chat.completions.create({ model, messages });
      expect(whole.choices[0]!.message.content).toContain('Why does the mill turn?');
      const stream = await client.chat.completions.create({
        model,
        messages,
        stream: true,
        stream_options: { include_usage: true },
      });
      let text = '';
      let [pieces, reason, tokens] = [0, '', 0];
      for await (const { choices, usage } of stream) {
        text += choices[0]?.delta.content ?? '';
        if (choices[0]?.delta.content) pieces++;
        reason = choices[0]?.finish_reason ?? reason;
        tokens = usage?.total_tokens ?? tokens;
      }
      expect(text).toBe(whole.choices[0]!.message.content);
      expect(pieces).toBeGreaterThan(3);
      expect([reason, tokens]).toEqual(['stop', whole.usage!.total_tokens]);
    });

    test('a stream that fails ends with the error', async () => {
      const create = () =>
        client.chat.completions
          .create({ model: `${model}:400`, messages, stream: true })
          .then(async (stream) => {
            for await (const chunk of stream) void chunk;
          });
      await expect(create()).rejects.toThrow('ask for status 400');
      await expect(
        client.chat.completions.create({ model, messages: [], stream: true }),
      ).rejects.toMatchObject({ status: 400 });
    });

    test('a video is created, polled, downloaded, listed and deleted', async () => {
      const video = await client.videos.create({
        model: 'sandbox/text-to-video',
        prompt: 'A mill',
        seconds: '1' as never,
        size: '128x128' as never,
      });
      expect(video).toMatchObject({ object: 'video', prompt: 'A mill', seconds: '1', size: '128x128' });
      await waitUntil(async () => (await client.videos.retrieve(video.id)).status === 'completed', {
        what: 'the video',
      });
      expect((await client.videos.retrieve(video.id)).progress).toBe(100);
      const content = Buffer.from(await (await client.videos.downloadContent(video.id)).arrayBuffer());
      expect(content.toString('latin1', 4, 8)).toBe('ftyp');
      const thumbnail = await client.videos.downloadContent(video.id, { variant: 'thumbnail' });
      expect(thumbnail.headers.get('content-type')).toBe('image/webp');
      const listed = (await client.videos.list()).data.map(({ id }) => id);
      expect(listed).toContain(video.id);
      expect(await client.videos.delete(video.id)).toMatchObject({
        id: video.id,
        object: 'video.deleted',
        deleted: true,
      });
      await expect(client.videos.retrieve(video.id)).rejects.toMatchObject({ status: 404 });
    });
  });

  test('a slow video reports progress that never decreases', async () => {
    const created = await post('/v1/tasks', {
      kind: 'text-to-video',
      // No duration of this model has been measured yet.
      model: 'sandbox/text-to-video:slow',
      input: { prompt: 'slow' },
      options: { seconds: 1, size: '64x64' },
      metadata: sandbox({ delay_ms: 3_000 }),
    });
    const percents: number[] = [];
    await waitUntil(
      async () => {
        const task = await get<TaskObject>(`/v1/tasks/${created.body.id}`);
        if (task.status === 'queued') expect(task.progress).toBeNull();
        if (task.progress?.percent != null) percents.push(task.progress.percent);
        return task.status === 'succeeded';
      },
      { what: 'the slow video' },
    );
    expect(percents).toEqual([...percents].sort((a, b) => a - b));
    expect(new Set(percents).size).toBeGreaterThan(3);
    expect(percents.at(-1)).toBe(100);
  });

  test('the event stream of a task carries its progress to the end', async () => {
    const { body } = await post('/v1/tasks', {
      kind: 'text-to-video',
      model: 'sandbox/text-to-video',
      input: { prompt: 'followed' },
      options: { seconds: 1, size: '64x64' },
      metadata: sandbox({ delay_ms: 2_000 }),
    });
    const { text } = await sendRaw(platform, {
      path: `/v1/tasks/${body.id}/events`,
      headers: { accept: 'text/event-stream' },
    });
    const states = [...text.matchAll(/event: state\ndata: (.*)/g)].map(
      ([, json]) => JSON.parse(json!).data as TaskObject,
    );
    expect(states.some(({ progress }) => (progress?.percent ?? 0) > 0 && progress!.percent! < 100)).toBe(
      true,
    );
    expect(states.at(-1)).toMatchObject({ status: 'succeeded', progress: { percent: 100 } });
  });

  test('a task starts at run_at, expires at its deadline, and can be retried', async () => {
    const soon = Date.now() / 1_000 + 2;
    const base = { kind: 'translation', model: 'sandbox/translation', input: { text: 'a' } };
    const later = await post('/v1/tasks', { ...base, run_at: soon });
    expect(later.body.status).toBe('scheduled');
    const never = await post('/v1/tasks', {
      ...base,
      run_at: soon + 500,
      start_timeout: 1,
      metadata: { job: 'n' },
    });
    const late = await post('/v1/tasks', {
      ...base,
      deadline: soon,
      metadata: sandbox({ delay_ms: 60_000 }),
    });
    const status = async (id: string) => (await get<TaskObject>(`/v1/tasks/${id}`)).status;
    await waitUntil(async () => (await status(later.body.id)) === 'succeeded', {
      what: 'the scheduled task',
    });
    await waitUntil(async () => (await status(late.body.id)) === 'expired', {
      what: 'the task past its deadline',
    });
    expect(await status(never.body.id)).toBe('scheduled');
    await post(`/v1/tasks/${never.body.id}/cancel`, {});
    const again = await post(`/v1/tasks/${never.body.id}/retry`, {});
    expect(again).toMatchObject({ status: 202, body: { retry_of: never.body.id, metadata: { job: 'n' } } });
    await waitUntil(async () => (await status(again.body.id)) === 'succeeded', { what: 'the retry' });
    const { data } = await get<{ data: TaskAttempt[] }>(`/v1/tasks/${again.body.id}/attempts`);
    expect(data).toMatchObject([{ number: 1, outcome: 'succeeded', provider: 'sandbox' }]);
    const found = await get<Page<TaskSummary>>(
      `/v1/tasks?kind=translation&status=succeeded&model=sandbox%2Ftranslation&metadata=${encodeURIComponent('{"job":"n"}')}`,
    );
    expect(found.data.map(({ id }) => id)).toEqual([again.body.id]);
    const before = await get<Page<TaskSummary>>(`/v1/tasks?created_before=${soon - 100}`);
    expect(before.data).toEqual([]);
  });

  test('a kind runs as a batch through /v1/tasks, with its media in the output lines', async () => {
    const lines = ['a mill', 'a wheel', '', 'a river'].map((prompt, at) =>
      JSON.stringify({
        custom_id: `row-${at}`,
        method: 'POST',
        url: '/v1/tasks',
        body: {
          kind: 'text-to-image',
          model: 'sandbox/text-to-image',
          input: { prompt },
          options: { size: '64x64' },
        },
      }),
    );
    const file = await platform.client.files.create({
      file: new File([lines.join('\n')], 'rows.jsonl'),
      purpose: 'batch',
    });
    const batch = await platform.client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/tasks' as never,
      completion_window: '24h',
    });
    let done = batch;
    await waitUntil(
      async () => (done = await platform.client.batches.retrieve(batch.id)).status === 'completed',
      {
        what: 'the batch of images',
      },
    );
    expect(done.request_counts).toEqual({ total: 4, completed: 3, failed: 1 });
    const text = await (await platform.client.files.content(done.output_file_id!)).text();
    for (const line of text.trim().split('\n')) {
      const { data, content_type: type } = JSON.parse(line).response.body.images[0];
      expect(type).toBe('image/png');
      expect(await sharp(Buffer.from(data, 'base64')).metadata()).toMatchObject({ width: 64, height: 64 });
    }
    const errors = await (await platform.client.files.content(done.error_file_id!)).text();
    expect(JSON.parse(errors)).toMatchObject({ custom_id: 'row-2', response: { status_code: 400 } });
  });
});
