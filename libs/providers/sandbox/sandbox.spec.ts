import { InvalidInput, ProviderFailure } from '#domain';
import { createProviders } from '../registry.ts';
import { createSilentRun } from '../silent-run.ts';
import { sandbox } from './sandbox.ts';

const { route } = createProviders();
const embed = (model: string, inputs: (string | number[])[], over: object = {}, signal?: AbortSignal) =>
  sandbox.handlers.embeddings!(
    { model, input: { inputs, ...over } },
    createSilentRun(signal ?? new AbortController().signal),
  );
const numbers = (vector?: Float32Array) => [...vector!];

test('the same text gives the same vector, of unit length, and says that it is simulated', async () => {
  const first = await embed('embeddings', ['a', 'b', 'a', [1, 2]]);
  const again = await embed('embeddings', ['a']);
  expect(first.simulated).toBe(true);
  expect(numbers(first.vectors[0])).toEqual(numbers(first.vectors[2]));
  expect(numbers(first.vectors[0])).toEqual(numbers(again.vectors[0]));
  expect(numbers(first.vectors[0])).not.toEqual(numbers(first.vectors[1]));
  for (const vector of first.vectors) {
    expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
    expect(vector).toHaveLength(8);
  }
  expect(first.tokens).toEqual([1, 1, 1, 2]);
  expect((await embed('embeddings', ['a'], { dimensions: 3 })).vectors[0]).toHaveLength(3);
});

test('odd text is text', async () => {
  const { vectors } = await embed('embeddings', ['\ud800', '\u0000', 'x'.repeat(2 ** 20)]);
  for (const vector of vectors) expect(Math.hypot(...vector)).toBeCloseTo(1, 5);
});

test.each(['400', '401', '429', '500', '503'])('a model with the suffix :%s answers so', async (status) => {
  const retryable = Number(status) >= 429;
  await expect(embed(`embeddings:${status}`, ['a'])).rejects.toMatchObject({
    status: Number(status),
    retryable,
  });
  await expect(embed(`embeddings:${status}`, ['a'])).rejects.toBeInstanceOf(ProviderFailure);
});

test('metadata.sandbox spells the options out', async () => {
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

test('a wait ends with its signal', async () => {
  const gone = new AbortController();
  const waiting = embed('embeddings:hang', ['a'], {}, gone.signal);
  gone.abort(new Error('cancelled'));
  await expect(waiting).rejects.toThrow();
});

test('a model is routed by what stands before the first slash', () => {
  expect(route('sandbox/embeddings:slow', 'embeddings')).toMatchObject({
    provider: sandbox,
    model: 'embeddings:slow',
  });
});

test.each([
  'embeddings',
  '/embeddings',
  '',
  'nobody/embeddings',
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
])('no model is named %j', (name) => {
  expect(() => route(name, 'embeddings')).toThrow(
    expect.objectContaining({ code: 'model_not_found', status: 400 }),
  );
});
