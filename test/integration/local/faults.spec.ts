/** Failures of local models: files, the Hub, memory, threads; and aborted calls. */
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createLogger } from '#telemetry';
import { splitBufferLines } from '#domain';
import type { ClaimedChunk } from '#database';
import type { Provider, Providers } from '#providers';
import { LineRecords } from '../../../apps/worker/src/batches/chunks/line-records.ts';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { runLines } from '../../../apps/worker/src/batches/chunks/run-lines.ts';
import { eventually } from '../../support/eventually.ts';
import {
  demoBytes,
  embed,
  startFakeHub,
  createLocalModels,
  crashingThread,
  neverAborted,
  type FakeHub,
  type LocalModels,
} from './local-models.ts';

let models: LocalModels;
let hub: FakeHub;
beforeEach(async () => {
  models = await createLocalModels();
  hub = await startFakeHub();
});
afterEach(async () => {
  await models.close();
  await hub.close();
});

const loaded = (provider: Provider) =>
  provider
    .models!.list()
    .filter(({ state }) => state === 'ready')
    .map(({ model }) => model);

describe('files', () => {
  test.each(['onnx/model.onnx', 'tokenizer.json', 'config.json'])(
    'a corrupt %s is a permanent failure that names the model',
    async (path) => {
      const folder = await models.copy('corrupt');
      await writeFile(join(folder, path), 'not what it was');
      const provider = models.provider();
      await expect(embed(provider, 'corrupt', ['x'])).rejects.toMatchObject({
        code: 'model_damaged',
        retryable: false,
        message: expect.stringContaining('local/corrupt'),
      });
      expect(provider.models!.list()).toMatchObject([
        { model: 'corrupt', state: 'failed', error: { code: 'model_damaged' }, bytes: 0 },
      ]);
      // The thread runs other models. The model is loaded again after it was repaired and unloaded.
      await expect(embed(provider, 'demo-embedder', ['x'])).resolves.toBeDefined();
      await models.copy('corrupt');
      await provider.models!.unload('corrupt');
      await expect(embed(provider, 'corrupt', ['x'])).resolves.toBeDefined();
    },
  );

  test('an invalid name is refused before anything is loaded', () => {
    const provider = models.provider();
    for (const name of ['', 'a/b/c', '../x', 'a/..', '.hidden', 'a--b', 'unknown', 'a b', '__proto__']) {
      expect(() => provider.checkModel(name)).toThrow(expect.objectContaining({ code: 'model_not_found' }));
    }
    for (const name of ['demo-embedder', 'org/name', 'sentence-transformers/all-MiniLM-L6-v2'])
      expect(() => provider.checkModel(name)).not.toThrow();
  });
});

describe('the Hub', () => {
  const provider = (token?: string) => models.provider({ hub: { url: hub.url, token } });

  test('a model is downloaded once', async () => {
    await embed(provider(), 'org/open', ['x']);
    const asked = hub.requests.length;
    const offline = models.provider({ hub: { url: 'http://127.0.0.1:9' } });
    await expect(embed(offline, 'org/open', ['x'])).resolves.toBeDefined();
    expect(hub.requests).toHaveLength(asked);
    const kept = await readdir(join(models.folder, '.hub/org/open'), { recursive: true });
    expect(kept.filter((name) => name.endsWith('.part'))).toEqual([]);
  });

  test('errors of missing, gated and broken models say what to do, have the model’s page, and never the token', async () => {
    const page = (model: string) => `https://huggingface.co/${model}`;
    for (const [model, code] of [
      ['org/missing', 'model_gated'],
      ['org/gated', 'model_gated'],
      ['org/terms', 'model_gated'],
    ] as const) {
      const failure = await embed(provider('hf_wrong_token'), model, ['x']).catch(
        (error: unknown) => error as Error,
      );
      expect(failure).toMatchObject({ code, retryable: false });
      expect((failure as Error).message).toContain(page(model));
      expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('hf_wrong');
    }
    await expect(embed(provider(), 'org/broken', ['x'])).rejects.toMatchObject({
      code: 'hub_unavailable',
      retryable: true,
    });
    await expect(embed(provider(hub.token), 'org/gated', ['x'])).resolves.toBeDefined();
  });

  test('a partial download is not a model: another process starts again', async () => {
    hub.stallAt = 'tokenizer.json';
    const first = provider();
    const gone = new AbortController();
    const waiting = embed(first, 'org/open', ['x'], {}, gone.signal);
    await eventually('the download to start', () =>
      hub.requests.some(({ path }) => path.endsWith('tokenizer.json')),
    );
    gone.abort(new Error('killed'));
    await expect(waiting).rejects.toThrow('killed');
    expect(first.models!.list()).toMatchObject([{ model: 'org/open', state: 'loading' }]);
    hub.stallAt = null;
    await expect(embed(provider(), 'org/open', ['x'])).resolves.toBeDefined();
  });
});

describe('memory', () => {
  test('the least recently used model is evicted', async () => {
    await Promise.all(['a', 'b', 'c'].map((name) => models.copy(name)));
    const provider = models.provider({ memoryBytes: demoBytes * 2.5 });
    for (const name of ['a', 'b', 'a', 'c']) await embed(provider, name, ['x']);
    expect(loaded(provider).sort()).toEqual(['a', 'c']);
    await embed(provider, 'b', ['x']);
    expect(loaded(provider).sort()).toEqual(['b', 'c']);
  });

  test('without eviction the next model is refused', async () => {
    await Promise.all(['a', 'b'].map((name) => models.copy(name)));
    const provider = models.provider({ memoryBytes: demoBytes * 1.5, evict: false });
    await embed(provider, 'a', ['x']);
    await expect(embed(provider, 'b', ['x'])).rejects.toMatchObject({
      code: 'model_memory_full',
      retryable: false,
    });
    await expect(embed(provider, 'a', ['x'])).resolves.toBeDefined();
    await provider.models!.unload('a');
    await provider.models!.unload('b');
    await expect(embed(provider, 'b', ['x'])).resolves.toBeDefined();
  });

  test('a model that is too large for the memory is refused; each slot has a copy', async () => {
    await models.copy('a');
    const provider = models.provider({ memoryBytes: demoBytes * 1.5, slots: 2 });
    await expect(embed(provider, 'a', ['x'])).rejects.toMatchObject({ code: 'model_too_large' });
  });

  test('calls to more models than fit into memory all complete', async () => {
    const names = ['a', 'b', 'c', 'd'];
    await Promise.all(names.map((name) => models.copy(name)));
    const provider = models.provider({ memoryBytes: demoBytes * 1.5 });
    const all = await Promise.all(
      Array.from({ length: 24 }, (_, at) => embed(provider, names[at % 4]!, [`text ${at}`])),
    );
    expect(all).toHaveLength(24);
    expect(loaded(provider)).toHaveLength(1);
  });
});

describe('threads', () => {
  test('a thread that dies fails its call with a retryable error, and is replaced', async () => {
    const provider = models.provider({}, crashingThread);
    await embed(provider, 'demo-embedder', ['x']);
    await expect(embed(provider, 'demo-embedder', ['a deadly text'])).rejects.toMatchObject({
      code: 'model_thread_died',
      retryable: true,
    });
    const { vectors } = await embed(provider, 'demo-embedder', ['x']);
    expect(vectors).toHaveLength(1);
  });

  test('a line that kills each thread fails alone; the other lines of the chunk complete', async () => {
    const provider = models.provider({}, crashingThread);
    const providers: Providers = {
      list: [provider],
      route: () => ({ provider, model: 'demo-embedder', credential: provider.defaultCredential }),
      close: async () => undefined,
    };
    const text = Array.from({ length: 8 }, (_, at) =>
      JSON.stringify({
        custom_id: `row-${at}`,
        method: 'POST',
        url: '/v1/embeddings',
        body: { model: 'local/demo-embedder', input: at === 5 ? 'a deadly text' : `text ${at}` },
      }),
    ).join('\n');
    const chunk = { batchId: 'batch_1', kind: 'embeddings', model: 'local/demo-embedder' } as ClaimedChunk;
    const records = new LineRecords(chunk.batchId);
    const lines = [...splitBufferLines(Buffer.from(text), { maxBytes: 2 ** 20 })];
    await runLines(
      chunk,
      lines,
      records,
      { ...providers, runtimes: new ModelRuntimes(), media: {} as never },
      neverAborted,
      createLogger('test', 'silent'),
    );
    const { sums, errors } = records.close();
    expect(sums).toMatchObject({ completed: 7, failed: 1 });
    expect(errors.toString()).toContain('row-5');
    expect(errors.toString()).toContain('model_thread_died');
  });
});

describe('an aborted call', () => {
  test('rejects at once, during inference as before it, and the slot is free when the thread has finished', async () => {
    const provider = models.provider();
    await embed(provider, 'demo-embedder', ['x']);
    const gone = new AbortController();
    const many = Array.from({ length: 20_000 }, (_, at) => `text ${at}`);
    const running = embed(provider, 'demo-embedder', many, {}, gone.signal);
    const waiting = embed(provider, 'demo-embedder', many, {}, gone.signal);
    const outcome = Promise.allSettled([running, waiting]);
    setImmediate(() => gone.abort(new Error('cancelled')));
    for (const { status } of await outcome) expect(status).toBe('rejected');
    await expect(embed(provider, 'demo-embedder', ['x'])).resolves.toBeDefined();
    await expect(embed(provider, 'demo-embedder', ['x'], {}, gone.signal)).rejects.toThrow('cancelled');
  });

  test('a folder that was deleted is an ordinary error', async () => {
    const folder = await models.copy('brief');
    const provider = models.provider();
    await rm(folder, { recursive: true });
    await expect(embed(provider, 'brief', ['x'])).rejects.toMatchObject({ code: 'model_not_found' });
  });
});
