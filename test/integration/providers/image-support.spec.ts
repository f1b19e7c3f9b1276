/** Whether a model sees is asked for before its request is queued, where the server has an answer to that. */
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { createProvidersAt } from './provider-fixtures.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
});
afterAll(() => upstream?.close());
beforeEach(() => upstream.reset());

const sees = async (name: string, providers = createProvidersAt(upstream)) => {
  const { provider, model } = providers.route(name, 'chat-completion');
  return provider.acceptsImages!(model);
};

test.each([
  ['ollama/blind', false],
  ['ollama/llava', true],
  ['ollama/old-blind', true],
  ['openai/scripted/blind', false],
  ['openai/scripted/seeing', true],
  ['openai/scripted', true],
  ['openai/not-listed', true],
  ['hf/scripted/blind', false],
  ['hf/scripted/blind:fastest', false],
  ['hf/scripted/seeing', true],
  ['hf/not/listed', true],
  ['hf/@mine', true],
])('%s: %s', async (name, expected) => {
  expect(await sees(name)).toBe(expected);
});

test('a server that is away, or fails, refuses nobody', async () => {
  const away = createProvidersAt({ url: 'http://127.0.0.1:9' });
  for (const name of ['ollama/blind', 'openai/scripted/blind', 'hf/scripted/blind']) {
    expect(await sees(name, away)).toBe(true);
  }
});

test('it is asked once, by however many at once', async () => {
  const providers = createProvidersAt(upstream);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => sees('openai/scripted/blind', providers)),
  );
  expect(answers).toEqual(answers.map(() => false));
  expect(await sees('openai/scripted/blind', providers)).toBe(false);
  expect(upstream.calls.map(({ path }) => path)).toEqual(['/v1/models']);
});
