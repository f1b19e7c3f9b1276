/** Batches on local models through the API: vectors, threads that die, and a worker killed while a model loads. */
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { ModelObject } from '@millrace/contracts';
import { embedWithReference } from '../support/reference-embed.ts';
import {
  terminalStatuses,
  startPlatform,
  submitBatch,
  waitUntil,
  type Platform,
} from '../support/platform.ts';
import { bundledModels, startFakeHub, type FakeHub } from '../integration/local/local-models.ts';

const endThreads = fileURLToPath(new URL('./crash-threads-process.ts', import.meta.url));

let platform: Platform;
let hub: FakeHub;
beforeAll(async () => {
  hub = await startFakeHub();
  platform = await startPlatform({
    env: { HF_ENDPOINT: hub.url, HF_TOKEN: hub.token },
    workerNodeArgs: ['--import', endThreads],
  });
});
afterAll(async () => {
  await platform?.stop();
  await hub?.close();
});

interface Body {
  readonly model: string;
  readonly input: string;
  readonly encoding_format?: 'base64';
}

const jsonl = (bodies: readonly Body[]) =>
  bodies
    .map((body, at) => JSON.stringify({ custom_id: String(at), method: 'POST', url: '/v1/embeddings', body }))
    .join('\n');

async function ended(id: string) {
  await waitUntil(
    async () => terminalStatuses.includes((await platform.client.batches.retrieve(id)).status),
    {
      what: 'the batch to end',
      withinMs: 50_000,
    },
  );
  return platform.client.batches.retrieve(id);
}

async function records(fileId: string | null | undefined) {
  const text = await (await platform.client.files.content(fileId!)).text();
  return text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line))
    .sort((a, b) => Number(a.custom_id) - Number(b.custom_id));
}

const texts = Array.from(
  { length: 300 },
  (_, at) => `The mill turns ${'and the water falls '.repeat(at % 9)}${at}`,
);

test('vectors through the API equal those of transformers.js to 1e-6', async () => {
  const bodies = texts.map((input, at): Body => {
    const body = { model: 'local/demo-embedder', input };
    return at % 2 ? { ...body, encoding_format: 'base64' } : body;
  });
  const [batch, bare] = await Promise.all([
    submitBatch(platform, jsonl(bodies)).then(ended),
    embedWithReference(bundledModels, 'demo-embedder', texts),
  ]);
  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 300, completed: 300 } });
  let worst = 0;
  for (const [at, { response }] of (await records(batch.output_file_id)).entries()) {
    const { embedding } = response.body.data[0];
    const vector =
      typeof embedding === 'string'
        ? new Float32Array(new Uint8Array(Buffer.from(embedding, 'base64')).buffer)
        : (embedding as number[]);
    expect(vector).toHaveLength(256);
    expect(response.body.usage.prompt_tokens).toBeGreaterThan(3);
    vector.forEach((value, n) => (worst = Math.max(worst, Math.abs(value - bare[at]![n]!))));
  }
  expect(worst).toBeLessThan(1e-6);
});

test('a model is loaded and unloaded on request, also on a worker that starts later', async () => {
  const model = 'local/demo-embedder';
  const becomes = (status: string, onWorkers: number) => {
    const isSo = async () => {
      const { millrace } = (await platform.client.models.retrieve(model)) as unknown as ModelObject;
      const ready = millrace.workers.filter(({ state }) => state === 'ready');
      return millrace.status === status && ready.length === onWorkers;
    };
    return waitUntil(isSo, { what: `${model} to be ${status} on ${onWorkers} workers`, withinMs: 60_000 });
  };
  const ask = (what: 'load' | 'unload') => platform.client.post(`/models/${what}`, { body: { model } });

  expect(await ask('unload')).toMatchObject({ id: model, millrace: { is_desired: false } });
  await becomes('unloaded', 0);
  expect(await ask('load')).toMatchObject({ id: model, millrace: { is_desired: true } });
  await becomes('ready', 1);
  const second = await platform.addWorker();
  await becomes('ready', 2);
  expect(await ask('unload')).toMatchObject({ millrace: { is_desired: false } });
  await becomes('unloaded', 0);
  // A request loads it again, whether it is desired or not.
  const { data } = await platform.client.embeddings.create({ model, input: 'The mill turns' });
  expect(data[0]!.embedding).toHaveLength(256);
  await becomes('ready', 1);
  platform.workers.pop();
  second.child.kill('SIGTERM');
  await once(second.child, 'exit');
});

test.each(['local/No Such Model', 'local/unknown'])(
  'a batch with the model %s fails when it is planned',
  async (model) => {
    const { status, errors } = await ended(await submitBatch(platform, jsonl([{ model, input: 'x' }])));
    expect(status).toBe('failed');
    expect(errors!.data![0]).toMatchObject({ code: 'model_not_found', line: 1 });
  },
);

test('threads that die are replaced: the batch completes, the process survives', async () => {
  const [worker] = platform.workers;
  const many = Array.from({ length: 12_000 }, (_, at) => ({
    model: 'local/demo-embedder',
    input: `The mill turns ${at} times while the river falls over its old wheel`,
  }));
  const id = await submitBatch(platform, jsonl(many));
  await waitUntil(async () => (await platform.client.batches.retrieve(id)).status === 'in_progress', {
    what: 'the batch to run',
  });
  // At any moment, also while a model loads: a thread that dies from an exception must not end the process.
  for (let turn = 0; turn < 3; turn++) {
    worker!.child.kill('SIGUSR2');
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  const batch = await ended(id);
  expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 12_000, failed: 0 } });
  expect(worker!.output()).toContain('1 threads ended');
  expect(worker!.child.exitCode).toBeNull();
  expect(platform.workers).toHaveLength(1);
});

test('the batch of a worker that was killed while it loaded a model is completed by another', async () => {
  hub.stallAt = 'onnx/model.onnx';
  const [first] = platform.workers;
  const id = await submitBatch(platform, jsonl([{ model: 'local/org/gated', input: 'The mill turns' }]));
  await waitUntil(() => hub.requests.some(({ path }) => path.endsWith('model.onnx')), {
    what: 'the model to load',
  });
  first!.child.kill('SIGKILL');
  hub.stallAt = null;
  await platform.addWorker();
  const batch = await ended(id);
  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 1, completed: 1 } });
  expect(platform.output()).not.toContain(hub.token);
});
