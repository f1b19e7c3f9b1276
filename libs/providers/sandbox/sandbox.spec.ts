import { InvalidInput, ProviderFailure } from '#domain';
import { createProviders } from '../registry.ts';
import { createSilentRun } from '../silent-run.ts';
import { sandbox } from './sandbox.ts';

const { route } = createProviders();
const embed = (model: string, inputs: (string | number[])[], over: object = {}, signal?: AbortSignal) =>
  sandbox.handlers.embeddings!(
    { model, credential: sandbox.defaultCredential, input: { inputs, ...over } },
    createSilentRun(signal ?? new AbortController().signal),
  );
const toNumbers = (vector?: Float32Array) => [...vector!];

test('equal texts have equal vectors of unit length, marked as simulated', async () => {
  const first = await embed('embeddings', ['a', 'b', 'a', [1, 2]]);
  const again = await embed('embeddings', ['a']);
  expect(first.simulated).toBe(true);
  expect(toNumbers(first.vectors[0])).toEqual(toNumbers(first.vectors[2]));
  expect(toNumbers(first.vectors[0])).toEqual(toNumbers(again.vectors[0]));
  expect(toNumbers(first.vectors[0])).not.toEqual(toNumbers(first.vectors[1]));
  for (const vector of first.vectors) {
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    expect(vector).toHaveLength(8);
  }
  expect(first.tokens).toEqual([1, 1, 1, 2]);
  expect((await embed('embeddings', ['a'], { dimensions: 3 })).vectors[0]).toHaveLength(3);
});

test('unusual text is embedded like any other', async () => {
  const { vectors } = await embed('embeddings', ['\ud800', '\u0000', 'x'.repeat(2 ** 20)]);
  for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
});

test.each(['400', '401', '429', '500', '503'])(
  'a model with the suffix :%s fails with that status',
  async (status) => {
    const retryable = Number(status) >= 429;
    await expect(embed(`embeddings:${status}`, ['a'])).rejects.toMatchObject({
      status: Number(status),
      retryable,
    });
    await expect(embed(`embeddings:${status}`, ['a'])).rejects.toBeInstanceOf(ProviderFailure);
  },
);

test('metadata.sandbox sets the options of a request', async () => {
  const metadata = { sandbox: JSON.stringify({ reject: 'bad' }) };
  await expect(embed('embeddings', ['good', 'a bad one'], { metadata })).rejects.toMatchObject({
    status: 400,
  });
  await expect(embed('embeddings', ['good'], { metadata })).resolves.toBeDefined();
  const flaky = { sandbox: JSON.stringify({ flaky: 1 }) };
  await expect(embed('embeddings', ['a'], { metadata: flaky })).rejects.toMatchObject({ status: 503 });
});

test.each([
  'nonsense',
  '{"status":200}',
  '{"unknown":1}',
  '[]',
  'null',
  '{"delay_ms":1e999}',
  '{"__proto__":{}}',
])('metadata.sandbox of %s is refused', async (text) => {
  await expect(embed('embeddings', ['a'], { metadata: { sandbox: text } })).rejects.toBeInstanceOf(
    InvalidInput,
  );
});

test('a delay ends when the signal is aborted', async () => {
  const abort = new AbortController();
  const waiting = embed('embeddings:hang', ['a'], {}, abort.signal);
  abort.abort(new Error('cancelled'));
  await expect(waiting).rejects.toThrow();
});

test('a model is routed by the part of its name before the first slash', () => {
  expect(route('sandbox/embeddings:slow', 'embeddings', { workspaceId: null })).toMatchObject({
    provider: sandbox,
    model: 'embeddings:slow',
  });
});

test.each([
  'embeddings',
  '/embeddings',
  '',
  'unknown/embeddings',
  'Sandbox/embeddings',
  'sandbox/',
  'sandbox/none',
  'sandbox/toString',
  'sandbox/__proto__',
  'sandbox/embeddings:',
  'sandbox/embeddings:none',
  'sandbox/embeddings:constructor',
  'sandbox/embeddings:slow:slow',
  'sandbox/embeddings/x',
])('there is no model named %j', (name) => {
  expect(() => route(name, 'embeddings', { workspaceId: null })).toThrow(
    expect.objectContaining({ code: 'model_not_found', status: 400 }),
  );
});
