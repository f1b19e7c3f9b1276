/** Whether a model accepts images is asked before a request is queued, if the server reports it. */
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { createProvidersAt } from './provider-fixtures.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
});
afterAll(() => upstream?.close());
beforeEach(() => upstream.reset());

const acceptsImages = async (name: string, providers = createProvidersAt(upstream)) => {
  const route = providers.route(name, 'chat-completion', { workspaceId: null });
  return route.provider.acceptsImages!(route);
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
  expect(await acceptsImages(name)).toBe(expected);
});

test('if the server cannot be reached, the model counts as accepting images', async () => {
  const unreachable = createProvidersAt({ url: 'http://127.0.0.1:9' });
  for (const name of ['ollama/blind', 'openai/scripted/blind', 'hf/scripted/blind']) {
    expect(await acceptsImages(name, unreachable)).toBe(true);
  }
});

test('concurrent requests ask the server once', async () => {
  const providers = createProvidersAt(upstream);
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => acceptsImages('openai/scripted/blind', providers)),
  );
  expect(answers).toEqual(answers.map(() => false));
  expect(await acceptsImages('openai/scripted/blind', providers)).toBe(false);
  expect(upstream.calls.map(({ path }) => path)).toEqual(['/v1/models']);
});
