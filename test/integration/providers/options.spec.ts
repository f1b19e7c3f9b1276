/** Every option of every kind at every hosted provider: it reaches the upstream, is applied here, or is refused. */
import { kindIds, type KindId } from '#catalogue';
import { InvalidInput } from '#domain';
import type { Provider } from '#providers';
import { findRule, listOptions } from '../../../libs/providers/option-rules.ts';
import { ScriptedUpstream } from '../../support/upstream/server.ts';
import { buildInput, createProvidersAt, createRun, dropRefused } from './provider-fixtures.ts';

let upstream: ScriptedUpstream;
let providers: ReturnType<typeof createProvidersAt>;

beforeAll(async () => {
  upstream = await ScriptedUpstream.start();
  providers = createProvidersAt(upstream);
});
afterEach(() => upstream.reset());
afterAll(() => upstream.close());

const find = (id: string): Provider => providers.list.find((one) => one.id === id)!;
const tables = createProvidersAt({ url: 'http://127.0.0.1:9' }).list.filter(({ optionTable }) => optionTable);

/** A value of each option that asks for something. */
const samples: Record<string, unknown> = {
  aggregation_strategy: 'simple',
  background: 'opaque',
  dimensions: 4,
  documents: ['a'],
  encoding_format: 'float',
  fps: 8,
  frequency_penalty: 0.5,
  guidance_scale: 7,
  height: 64,
  hypothesis_template: 'It is {}.',
  ignore_labels: ['O'],
  input_type: 'query',
  instructions: 'Slowly.',
  language: 'en',
  logprobs: true,
  max_completion_tokens: 9,
  max_length: 20,
  max_tokens: 9,
  min_length: 2,
  multi_label: true,
  n: 2,
  negative_prompt: 'blur',
  num_frames: 9,
  num_inference_steps: 9,
  output_format: 'png',
  presence_penalty: 0.5,
  prompt: 'a mill',
  quality: 'high',
  repetition_penalty: 1.1,
  response_format: { type: 'json_object' },
  return_documents: true,
  scheduler: 'ddim',
  seconds: 2,
  seed: 7,
  size: '64x64',
  source_language: 'en',
  speaker_id: 'miller',
  speed: 1.5,
  stop: ['x'],
  stream: true,
  stream_options: { include_usage: true },
  strength: 0.5,
  style: 'vivid',
  subtask: 'semantic',
  target_language: 'fr',
  targets: ['turns'],
  temperature: 0.5,
  threshold: 0.5,
  timestamps: 'segment',
  tool_choice: 'required',
  tools: [{ type: 'function', function: { name: 'turn' } }],
  top_k: 2,
  top_logprobs: 2,
  top_n: 1,
  top_p: 0.9,
  translate: true,
  user: 'someone',
  voice: 'alloy',
  width: 64,
};
/** Where an option's name has another type in one kind. */
const samplesOfKind: Partial<Record<KindId, Record<string, unknown>>> = {
  'text-to-speech': { response_format: 'mp3' },
  'text-to-image': { response_format: 'b64_json' },
  'image-to-image': { response_format: 'b64_json' },
  inpainting: { response_format: 'b64_json' },
};
/** Options that need another. */
const companions: Record<string, object> = {
  width: { height: 64 },
  height: { width: 64 },
  top_logprobs: { logprobs: true },
  stream_options: { stream: true },
};

const rows = tables.flatMap((provider) =>
  kindIds
    .filter((kind) => provider.handlers[kind])
    .flatMap((kind) =>
      listOptions(kind)
        .filter((option) => option !== 'metadata')
        .map((option) => ({
          id: provider.id,
          kind,
          option,
          rule: findRule(provider.optionTable!, kind, option),
        })),
    ),
);

const models: Record<string, (kind: KindId) => string> = {
  openai: () => 'scripted',
  ollama: () => 'scripted',
  hf: (kind) =>
    kind === 'image-to-video' || kind === 'text-to-video'
      ? `fal/${kind}`
      : `owner/${kind === 'embeddings' ? 'feature-extraction' : kind}`,
};

const toInput = (option: string, value: unknown) => ({
  [option === 'input_type' ? 'purpose' : option]: value,
});

async function call(id: string, kind: KindId, option: string, value: unknown) {
  const { handlers, defaultCredential: credential } = find(id);
  const example = dropRefused(find(id), kind, buildInput(kind) as object);
  const input = { ...example, ...companions[option], ...toInput(option, value) } as never;
  if (option === 'width' || option === 'height' || option === 'voice') {
    delete (input as Record<string, unknown>)['size'];
    delete (input as Record<string, unknown>)['speaker_id'];
  }
  if (option === 'translate') delete (input as Record<string, unknown>)['language'];
  return handlers[kind]!({ model: models[id]!(kind), credential, input }, createRun());
}

/** All names of fields in the bodies that the upstream got. */
function listSentNames(value: unknown): string[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return [];
  return Object.entries(value).flatMap(([name, item]) => [name, ...listSentNames(item)]);
}

test.each(rows)('$id, $kind: $option', async ({ id, kind, option, rule }) => {
  const value = samplesOfKind[kind]?.[option] ?? samples[option];
  expect(value).toBeDefined();
  if (typeof rule === 'object' && 'refused' in rule) {
    expect(() => find(id).checkOptions!(kind, { [option]: value })).toThrow(InvalidInput);
    expect(() => find(id).checkOptions!(kind, { [option]: value })).toThrow(rule.refused);
    await expect(call(id, kind, option, value)).rejects.toMatchObject({
      status: 400,
      code: 'unsupported',
      param: option,
    });
    expect(upstream.calls).toEqual([]);
    for (const allowed of rule.allows ?? []) find(id).checkOptions!(kind, { [option]: allowed });
    return;
  }
  await call(id, kind, option, value);
  const sent = upstream.calls.flatMap(({ body }) => listSentNames(body));
  if (rule === 'given') expect(sent).toContain(option);
  else if ('as' in rule && !rule.as.includes(' /')) {
    for (const name of rule.as.split(', ')) expect(sent).toContain(name.split('.').at(-1));
  }
});

test.each([
  ['openai', 'text-to-image', { size: '64x64', width: 64, height: 64 }, 'width'],
  ['openai', 'text-to-image', { width: 64 }, 'width'],
  ['openai', 'automatic-speech-recognition', { translate: true, language: 'fr' }, 'language'],
  ['openai', 'automatic-speech-recognition', { translate: true, timestamps: 'word' }, 'timestamps'],
  ['openai', 'text-to-speech', { voice: 'alloy', speaker_id: 'miller' }, 'speaker_id'],
  ['ollama', 'chat-completion', { logit_bias: { 1: 2 } }, 'logit_bias'],
  ['ollama', 'chat-completion', { anything: 1 }, 'anything'],
  ['ollama', 'text-generation', { echo: true }, 'echo'],
] as const)('%s, %s: %j is refused', (id, kind, options, param) => {
  expect(() => find(id).checkOptions!(kind, options)).toThrow(
    expect.objectContaining({ code: 'unsupported', param }),
  );
});

test('null, and values that change nothing, are not refused', () => {
  const ollama = find('ollama');
  ollama.checkOptions!('chat-completion', {
    n: null,
    tool_choice: 'auto',
    logit_bias: null,
    parallel_tool_calls: true,
  });
  ollama.checkOptions!('chat-completion', { model: 'x', metadata: { a: 'b' }, user: 'u', num_ctx: 4_096 });
});
