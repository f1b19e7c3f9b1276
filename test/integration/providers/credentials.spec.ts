/** A workspace's own credential is used for its calls only. All other workspaces use the instance's credential. */
import type { KindId } from '#catalogue';
import { createProviders, type ProviderCredential } from '#providers';
import { ModelRuntimes } from '../../../apps/worker/src/inference/model-runtimes.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { buildInput, createRun } from './provider-fixtures.ts';

let upstream: ScriptedUpstream;
beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
});
afterEach(() => upstream.reset());
afterAll(() => upstream.close());

const tokens: Record<string, string> = {
  openai: 'sk-of-workspace',
  hf: 'hf_of_workspace',
  ollama: 'of-workspace',
};

function createOwnCredential(provider: string): ProviderCredential {
  return {
    id: `own:${provider}`,
    provider,
    fingerprint: `own-${provider}`,
    getToken: async () => tokens[provider],
  };
}

const createTestProviders = () =>
  createProviders({
    huggingFace: {
      token: 'hf_of_instance',
      inferenceEndpoints: new Map(),
      hubUrl: upstream.url,
      routerUrl: upstream.url,
      concurrency: 1,
    },
    ollama: { url: upstream.url, key: 'of-instance', concurrency: 1 },
    openaiCompatible: [{ name: 'openai', url: `${upstream.url}/v1`, key: 'sk-of-instance', concurrency: 1 }],
    resolveCredential: (provider, workspaceId) =>
      workspaceId === 'ws_own' ? createOwnCredential(provider) : null,
  });

const models = {
  openai: 'openai/scripted',
  hf: 'hf/owner/summarization',
  ollama: 'ollama/scripted',
} as const;
const kindOfModel: Record<keyof typeof models, KindId> = {
  openai: 'chat-completion',
  hf: 'summarization',
  ollama: 'chat-completion',
};
const instanceTokens = { openai: 'sk-of-instance', hf: 'hf_of_instance', ollama: 'of-instance' };

function call(id: keyof typeof models, workspaceId: string | null, providers = createTestProviders()) {
  const kind = kindOfModel[id];
  const { provider, ...access } = providers.route(models[id], kind, { workspaceId });
  return provider.handlers[kind]!({ ...access, input: buildInput(kind) as never }, createRun());
}

/** Hugging Face's client asks the Hub which provider serves a model, without a token: only POSTs are compared. */
const sentTokens = () => [...new Set(upstream.findCalls('').map(({ headers }) => headers.authorization))];

describe.each(['openai', 'hf', 'ollama'] as const)('%s', (id) => {
  test('a call is made with the credential of its workspace, or else of the instance', async () => {
    await call(id, 'ws_own');
    expect(sentTokens()).toEqual([`Bearer ${tokens[id]}`]);
    upstream.reset();
    for (const workspaceId of ['ws_other', null]) await call(id, workspaceId);
    expect(sentTokens()).toEqual([`Bearer ${instanceTokens[id]}`]);
  });

  test('a rotated token is used by the next call', async () => {
    const providers = createTestProviders();
    await call(id, 'ws_own', providers);
    const before = tokens[id]!;
    tokens[id] = 'rotated';
    await call(id, 'ws_own', providers).finally(() => (tokens[id] = before));
    expect(sentTokens()).toEqual([`Bearer ${before}`, 'Bearer rotated']);
  });

  test('a workspace’s token is removed from error messages', async () => {
    upstream.script({ status: 422, json: { error: { message: `refused: ${tokens[id]}` } } });
    const failure = await call(id, 'ws_own').catch((error: unknown) => error as Error);
    expect((failure as Error).message).toContain('refused: ');
    expect((failure as Error).message).not.toContain(tokens[id]);
  });

  test('each credential has its own concurrency limit and circuit breaker', () => {
    const { route } = createTestProviders();
    const runtimes = new ModelRuntimes();
    const get = (workspaceId: string) =>
      runtimes.get(route(models[id], kindOfModel[id], { workspaceId }), kindOfModel[id]);
    expect(get('ws_own').limiter).not.toBe(get('ws_other').limiter);
    expect(get('ws_own').policy).not.toBe(get('ws_other').policy);
    expect(get('ws_other').limiter).toBe(get('ws_third').limiter);
    expect(get('ws_other').policy).toBe(get('ws_third').policy);
  });
});

test('image support is asked and cached for each credential', async () => {
  const { route } = createTestProviders();
  for (const workspaceId of ['ws_own', 'ws_own', 'ws_other', 'ws_third']) {
    const access = route('openai/scripted/blind', 'chat-completion', { workspaceId });
    expect(await access.provider.acceptsImages!(access)).toBe(false);
  }
  expect(upstream.calls.map(({ headers }) => headers.authorization)).toEqual([
    `Bearer ${tokens['openai']}`,
    'Bearer sk-of-instance',
  ]);
});

test('fingerprints identify a token and do not contain it', () => {
  const { list } = createTestProviders();
  const fingerprints = list.map(({ id, defaultCredential }) => [id, defaultCredential.fingerprint]);
  expect(Object.fromEntries(fingerprints)).toEqual({
    hf: expect.stringMatching(/^[0-9a-f]{12}$/),
    openai: expect.stringMatching(/^[0-9a-f]{12}$/),
    ollama: null,
    sandbox: null,
  });
});
