import { ProviderFailure } from '#domain';
import type { EmbeddingsBody } from '@millrace/contracts';
import { getPacking } from '../packing.ts';
import { embeddings } from './embeddings.ts';

const body = (over: object = {}): EmbeddingsBody =>
  embeddings.body.parse({ model: 'sandbox/embeddings', input: 'x', ...over });
const accepts = (over: object) => embeddings.body.safeParse({ model: 'sandbox/embeddings', ...over }).success;
const packing = getPacking(embeddings);

test.each([
  ['a text', 'The mill turns.'],
  ['texts', ['a', 'b']],
  ['token ids', [1, 2, 3]],
  ['lists of token ids', [[1], [2, 3]]],
  ['2,048 texts', Array(2_048).fill('a')],
  ['ten megabytes of text', 'x'.repeat(10 * 2 ** 20)],
  ['the largest safe integer as token id', [2 ** 53 - 1]],
])('accepts %s', (_, input) => {
  expect(accepts({ input })).toBe(true);
});

test.each([
  ['nothing', undefined],
  ['null', null],
  ['empty text', ''],
  ['blank text', ' \n\t\u00a0'],
  ['a blank text in a list', ['a', ' ']],
  ['no texts', []],
  ['no token ids', [[]]],
  ['2,049 texts', Array(2_049).fill('a')],
  ['an object', {}],
  ['texts and token ids', ['a', 1]],
  ['a negative token id', [-1]],
  ['a fractional token id', [1.5]],
  ['1e999', JSON.parse('[1e999]')],
  ['an integer past 2^53', JSON.parse('[9007199254740993]')],
  ['deep nesting', [[[1]]]],
])('refuses %s', (_, input) => {
  expect(accepts({ input })).toBe(false);
});

test('refuses invalid options, and more numbers than one response can hold', () => {
  for (const dimensions of [0, -1, 1.5, 65_537, '8', Infinity])
    expect(accepts({ input: 'a', dimensions })).toBe(false);
  expect(accepts({ input: 'a', dimensions: 65_536 })).toBe(true);
  expect(accepts({ input: Array(65).fill('a'), dimensions: 65_536 })).toBe(false);
  expect(accepts({ input: 'a', encoding_format: 'hex' })).toBe(false);
  expect(accepts({ input: 'a', dimension: 8 })).toBe(false);
  expect(accepts({ input: 'a', provider: { anything: 'else' } })).toBe(true);
  // 8,000 token ids are one input.
  expect(accepts({ input: Array(8_000).fill(1), dimensions: 1_024 })).toBe(true);
});

test('weighs text by its length and token ids by their number', () => {
  expect(packing.weigh(body({ input: ['12345678', 'x'] }))).toEqual({ tokens: 3, items: 2 });
  expect(packing.weigh(body({ input: [5, 6, 7] }))).toEqual({ tokens: 3, items: 1 });
  expect(packing.weigh(body({ input: [[5], [6, 7]] }))).toEqual({ tokens: 3, items: 2 });
});

test('lines that request different vectors never share a call', () => {
  const keys = [{}, { dimensions: 4 }, { metadata: { a: 'b' } }, { dimensions: 4, metadata: { a: 'b' } }].map(
    (over) => packing.getKey(body(over)),
  );
  expect(new Set(keys).size).toBe(4);
  expect(packing.getKey(body({ encoding_format: 'base64', user: 'u' }))).toBe(packing.getKey(body()));
});

test('a joined call is split into the same lines', () => {
  const bodies = [body({ input: 'a' }), body({ input: ['b', 'c'] }), body({ input: [1, 2] })];
  const { inputs } = packing.join(bodies);
  expect(inputs).toEqual(['a', 'b', 'c', [1, 2]]);
  const vectors = inputs.map((_, at) => new Float32Array([at]));
  const parts = packing.split({ vectors, tokens: [1, 2, 3, 4] }, bodies);
  expect(parts.map((part) => part.vectors.map(([first]) => first))).toEqual([[0], [1, 2], [3]]);
  expect(parts.map((part) => part.tokens)).toEqual([[1], [2, 3], [4]]);
});

test.each([
  ['too few vectors', [[1, 2]], [1], {}],
  ['too many vectors', [[1], [2], [3]], [1, 1, 1], {}],
  ['too few token counts', [[1], [2]], [1], {}],
  ['vectors of two lengths', [[1], [2, 3]], [1, 1], {}],
  ['a length other than requested', [[1], [2]], [1, 1], { dimensions: 2 }],
  ['NaN', [[1], [NaN]], [1, 1], {}],
  ['infinity', [[1], [Infinity]], [1, 1], {}],
  [
    'infinities that cancel out',
    [
      [1, 1],
      [Infinity, -Infinity],
    ],
    [1, 1],
    {},
  ],
])('an answer with %s is invalid output', (_, vectors, tokens, over) => {
  const output = { vectors: vectors.map((vector) => new Float32Array(vector)), tokens };
  const split = () => packing.split(output, [body({ input: 'a', ...over }), body({ input: 'b', ...over })]);
  expect(split).toThrow(ProviderFailure);
  expect(split).toThrow(expect.objectContaining({ code: 'invalid_output', retryable: false }));
});

test('answers as numbers and as base64, with the sum of the tokens', () => {
  // A view into the middle of its buffer: only its own bytes may be written.
  const vector = new Float32Array([9, 0.5, -0.25, 9]).subarray(1, 3);
  const output = { vectors: [vector, vector], tokens: [3, 4], simulated: true };
  const numbers = embeddings.buildAnswer(output, body({ input: ['a', 'b'] }));
  expect(JSON.parse(numbers.json)).toEqual({
    object: 'list',
    data: [0, 1].map((index) => ({ object: 'embedding', index, embedding: [0.5, -0.25] })),
    model: 'sandbox/embeddings',
    usage: { prompt_tokens: 7, total_tokens: 7 },
    millrace: { simulated: true },
  });
  expect(numbers.usage).toEqual({ inputTokens: 7, outputTokens: 0 });
  const base64 = embeddings.buildAnswer(
    { ...output, simulated: undefined },
    body({ encoding_format: 'base64' }),
  );
  const { data, millrace } = JSON.parse(base64.json);
  expect(millrace).toBeUndefined();
  const bytes = Buffer.from(data[0].embedding, 'base64');
  expect([bytes.length, bytes.readFloatLE(0), bytes.readFloatLE(4)]).toEqual([8, 0.5, -0.25]);
});

test('the estimated answer size is close for valid bodies, and bounded for invalid ones', () => {
  const vectors = (count: number, length: number) => ({
    vectors: Array.from({ length: count }, () => new Float32Array(length).fill(0.123456789)),
    tokens: Array(count).fill(1),
  });
  for (const over of [
    { dimensions: 512 },
    { dimensions: 512, encoding_format: 'base64', input: ['a', 'b'] },
  ]) {
    const request = body(over);
    const { length } = embeddings.buildAnswer(vectors([request.input].flat().length, 512), request).json;
    const estimate = embeddings.estimateAnswerBytes(request);
    expect(estimate / length).toBeGreaterThan(0.8);
    expect(estimate / length).toBeLessThan(1.6);
  }
  const invalid = [
    {},
    { dimensions: 1e99 },
    { dimensions: -1 },
    { dimensions: 'x' },
    { input: {} },
    { input: [[]] },
  ];
  for (const over of invalid) {
    const estimate = embeddings.estimateAnswerBytes(over);
    expect(estimate).toBeGreaterThan(0);
    expect(estimate).toBeLessThan(2_048 * 65_536 * 20);
  }
});

test('the answer of a line lists the indexes of its inputs that were cut', () => {
  const bodies = [body({ input: ['a', 'b'] }), body()];
  const vectors = [1, 2, 3].map((value) => Float32Array.of(value));
  const parts = packing.split({ vectors, tokens: [1, 1, 1], truncated: [false, true, false] }, bodies);
  const notes = parts.map((part, at) => JSON.parse(embeddings.buildAnswer(part, bodies[at]!).json).millrace);
  expect(notes).toEqual([{ truncated: [1] }, undefined]);
});

test('lines with different input types do not share a call, and the type reaches the model', () => {
  const query = body({ input_type: 'query' });
  expect(packing.getKey(query)).not.toBe(packing.getKey(body()));
  expect(packing.join([query])).toMatchObject({ purpose: 'query' });
});
