/** Local models return the same vectors as transformers.js itself, and follow the model's own files. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InvalidInput } from '#domain';
import { embedWithReference } from '../../support/reference-embed.ts';
import { bundledModels, embed, createLocalModels, type LocalModels } from './local-models.ts';

let models: LocalModels;
beforeAll(async () => {
  models = await createLocalModels();
});
afterAll(() => models.close());

const norm = (vector: Float32Array) => Math.hypot(...vector);
const close = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Math.max(...Array.from(a, (value, at) => Math.abs(value - b[at]!)));

test('vectors equal those of transformers.js, for all lengths and in any order', async () => {
  const words = 'the mill turns slowly while water falls over an old wheel and no one watches'.split(' ');
  const texts = Array.from({ length: 700 }, (_, at) =>
    Array.from({ length: 1 + ((at * 7) % 60) }, (__, n) => words[(at + n * n) % words.length]).join(' '),
  );
  const provider = models.provider({ slots: 2 });
  const [{ vectors, tokens }, bare] = await Promise.all([
    embed(provider, 'demo-embedder', texts),
    embedWithReference(bundledModels, 'demo-embedder', texts),
  ]);
  const worst = Math.max(...vectors.map((vector, at) => close(vector, bare[at]!)));
  expect(worst).toBeLessThan(1e-6);
  expect(tokens[0]).toBe(3); // [CLS] the [SEP]
});

test('token ids, with special tokens or without, are embedded like their text', async () => {
  const provider = models.provider();
  const tokenizer = JSON.parse(
    await (
      await import('node:fs/promises')
    ).readFile(join(bundledModels, 'demo-embedder/tokenizer.json'), 'utf8'),
  ) as { model: { vocab: Record<string, number> } };
  const id = (piece: string) => tokenizer.model.vocab[piece]!;
  const ids = ['the', 'mill', 'turns'].map(id);
  const { vectors, tokens } = await embed(provider, 'demo-embedder', [
    'The mill turns',
    ids,
    [id('[CLS]'), ...ids, id('[SEP]')],
  ]);
  expect(tokens).toEqual([5, 5, 5]);
  expect(close(vectors[0]!, vectors[1]!)).toBe(0);
  expect(close(vectors[0]!, vectors[2]!)).toBe(0);
  await expect(embed(provider, 'demo-embedder', [[10 ** 9]])).rejects.toThrow(InvalidInput);
});

test('longer texts are truncated and reported as such; unusual texts are embedded', async () => {
  const provider = models.provider();
  const odd = ['...', '\ud800', '\u0000', 'ÅÇÉ', '中文', '🙂'];
  const { vectors, tokens, truncated } = await embed(provider, 'demo-embedder', [
    'mill '.repeat(600),
    ...odd,
  ]);
  expect(tokens[0]).toBe(512);
  expect(truncated).toEqual([true, ...odd.map(() => false)]);
  for (const vector of vectors) expect(norm(vector)).toBeCloseTo(1, 5);
});

test('dimensions shorten a vector, which is scaled to unit length again', async () => {
  const provider = models.provider();
  const {
    vectors: [whole],
  } = await embed(provider, 'demo-embedder', ['The mill turns']);
  const {
    vectors: [cut],
  } = await embed(provider, 'demo-embedder', ['The mill turns'], { dimensions: 32 });
  const scale = norm(whole!.subarray(0, 32));
  expect(
    close(
      cut!,
      whole!.subarray(0, 32).map((value) => value / scale),
    ),
  ).toBeLessThan(1e-6);
  await expect(embed(provider, 'demo-embedder', ['x'], { dimensions: 257 })).rejects.toMatchObject({
    param: 'dimensions',
    message: expect.stringContaining('256'),
  });
});

const pooling = (mode: string) =>
  JSON.stringify({ [`pooling_mode_${mode}`]: true, pooling_mode_sqrt: false });

test('pooling, normalization and prompts follow the model’s own files', async () => {
  const provider = models.provider();
  const cls = await models.copy('cls');
  await writeFile(join(cls, '1_Pooling/config.json'), pooling('cls_token'));
  const last = await models.copy('last');
  await writeFile(join(last, '1_Pooling/config.json'), pooling('lasttoken'));
  await writeFile(join(last, 'modules.json'), JSON.stringify([{ path: '1_Pooling', type: 'x.Pooling' }]));
  const prompted = await models.copy('org/prompted');
  await writeFile(
    join(prompted, 'config_sentence_transformers.json'),
    JSON.stringify({ prompts: { query: 'snow ', document: 'wheat ' } }),
  );

  const [first] = (await embed(provider, 'cls', ['The mill turns'])).vectors;
  const [other] = (await embed(provider, 'cls', ['Snow'])).vectors;
  expect(close(first!, other!)).toBe(0); // This model's [CLS] vector is the same for all texts.
  const [end] = (await embed(provider, 'last', ['The mill turns'])).vectors;
  expect(norm(end!)).toBe(0); // This model's [SEP] vector is zero, and nothing is normalized.

  const by = async (text: string, purpose?: 'query' | 'passage') =>
    (await embed(provider, 'org/prompted', [text], { purpose })).vectors[0]!;
  expect(close(await by('mill', 'query'), await by('snow mill'))).toBe(0);
  expect(close(await by('mill', 'passage'), await by('wheat mill'))).toBe(0);
  expect(close(await by('mill'), await by('snow mill'))).toBeGreaterThan(0.1);
});

test.each([
  [
    'two poolings',
    '1_Pooling/config.json',
    '{"pooling_mode_cls_token":true,"pooling_mode_mean_tokens":true}',
  ],
  ['an unknown pooling', '1_Pooling/config.json', pooling('weightedmean_tokens')],
  [
    'a dense layer',
    'modules.json',
    '[{"path":"","type":"x.Transformer"},{"path":"2_Dense","type":"x.Dense"}]',
  ],
])('%s is refused before any vector is computed', async (_, path, content) => {
  const folder = await models.copy('unsupported');
  await writeFile(join(folder, path), content);
  await expect(embed(models.provider(), 'unsupported', ['x'])).rejects.toMatchObject({
    code: 'model_unsupported',
    retryable: false,
  });
});
