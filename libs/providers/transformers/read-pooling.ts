/**
 * Reads how a model pools its tokens' vectors and which prompts it puts before texts, from the files of Sentence
 * Transformers: `modules.json`, `1_Pooling/config.json` and `config_sentence_transformers.json`
 * (sbert.net/docs/sentence_transformer/usage/custom_models.html).
 */
import { z } from 'zod';
import { modelUnsupported } from './failures.ts';
import { readJson, type ModelFiles } from './model-files.ts';
import type { ModelPlan, PoolingMode } from './thread-messages.ts';

const modulesFile = z.array(z.object({ path: z.string(), type: z.string() }));
const poolingFile = z.record(z.string(), z.unknown());
const promptsFile = z.looseObject({
  prompts: z.record(z.string(), z.string().nullable()).default({}),
  default_prompt_name: z.string().nullish(),
});

const supportedModules = ['Transformer', 'Pooling', 'Normalize'];

/**
 * A model without `modules.json` gets mean pooling, as in Sentence Transformers, and unit length, as OpenAI's vectors have.
 * @throws ProviderFailure
 */
export async function readPooling(
  files: ModelFiles,
): Promise<Pick<ModelPlan, 'pooling' | 'normalize' | 'poolsPrompt'>> {
  const modules = await readJson(files, 'modules.json', modulesFile);
  if (!modules) return { pooling: 'mean', normalize: true, poolsPrompt: true };
  const types = modules.map(({ type }) => type.split('.').at(-1)!);
  const unsupported = types.find((type) => !supportedModules.includes(type));
  if (unsupported) throw modelUnsupported(files.model, `it has a module of the type ${unsupported}`);
  const path = modules[types.indexOf('Pooling')]?.path ?? '1_Pooling';
  const config = await readJson(files, `${path}/config.json`, poolingFile);
  return {
    pooling: config ? findMode(config, files.model) : 'mean',
    normalize: types.includes('Normalize'),
    poolsPrompt: config?.['include_prompt'] !== false,
  };
}

const modes: Record<string, PoolingMode> = {
  pooling_mode_cls_token: 'cls',
  pooling_mode_mean_tokens: 'mean',
  pooling_mode_max_tokens: 'max',
  pooling_mode_lasttoken: 'last',
  cls: 'cls',
  mean: 'mean',
  max: 'max',
  lasttoken: 'last',
};

function findMode(config: Record<string, unknown>, model: string): PoolingMode {
  const name = config['pooling_mode'];
  const selected =
    typeof name === 'string'
      ? [name]
      : Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const mode = selected.length === 1 ? modes[selected[0]!] : undefined;
  if (!mode) {
    throw modelUnsupported(model, `its pooling is ${selected.join(' and ') || 'not specified'}`);
  }
  return mode;
}

/** Names of the prompts: `encode_query` and `encode_document` in `SentenceTransformer.py`. @throws ProviderFailure */
export async function readPrompts(files: ModelFiles): Promise<ModelPlan['prompts']> {
  const config = await readJson(files, 'config_sentence_transformers.json', promptsFile);
  const prompts = config?.prompts ?? {};
  const other = prompts[config?.default_prompt_name ?? ''] ?? '';
  const findPrompt = (...names: string[]) => names.map((name) => prompts[name]).find(Boolean) ?? other;
  return { query: findPrompt('query'), passage: findPrompt('document', 'passage', 'corpus'), other };
}
