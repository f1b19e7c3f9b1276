/**
 * What a model's own files say of how it is to be run. Sources: Sentence Transformers' `modules.json`,
 * `1_Pooling/config.json`, `sentence_bert_config.json` and `config_sentence_transformers.json`
 * (sbert.net/docs/sentence_transformer/usage/custom_models.html; prompts: `encode_query` and `encode_document` in
 * `SentenceTransformer.py`); names of weights: transformers.js, `src/utils/dtypes.js`.
 */
import { existsSync } from 'node:fs';
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { modelDamaged, modelNotFound, modelUnsupported } from './failures.ts';
import { downloadFile } from './download-file.ts';
import type { ModelPlan, PoolingMode } from './thread-messages.ts';
import { findModelFolder } from './model-names.ts';
import type { LocalOptions } from './options.ts';

const suffixes: Record<string, string> = {
  fp32: '',
  fp16: '_fp16',
  int8: '_int8',
  uint8: '_uint8',
  q8: '_quantized',
  q4: '_q4',
  q4f16: '_q4f16',
  bnb4: '_bnb4',
};

const configFile = z.looseObject({
  vocab_size: z.int().positive().optional(),
  max_position_embeddings: z.int().positive().optional(),
  'transformers.js_config': z
    .looseObject({
      dtype: z.string().optional().catch(undefined),
      use_external_data_format: z.union([z.boolean(), z.int(), z.record(z.string(), z.unknown())]).optional(),
    })
    .optional(),
});
const modulesFile = z.array(z.object({ path: z.string(), type: z.string() }));
const poolingFile = z.record(z.string(), z.unknown());
const promptsFile = z.looseObject({
  prompts: z.record(z.string(), z.string().nullable()).default({}),
  default_prompt_name: z.string().nullish(),
});

/** A model's files, wherever they are: on this machine, or fetched when they are asked for. */
interface Files {
  readonly model: string;
  readonly folder: string;
  has(path: string): Promise<boolean>;
  /** Called when all of them were asked for. */
  done?(): Promise<void>;
}

/** Finds the model, fetching it where it comes from the Hub. @throws ProviderFailure */
export async function readModelPlan(model: string, options: LocalOptions): Promise<ModelPlan> {
  const files = filesOf(model, options);
  const config = await read(files, 'config.json', configFile);
  if (!config) throw modelNotFound(model);
  const dtype = await weightsOf(files, options, config);
  const tokenizer = await read(
    files,
    'tokenizer_config.json',
    z.looseObject({ model_max_length: z.number().optional() }),
  );
  if (!(await files.has('tokenizer.json')))
    throw modelUnsupported(model, 'it has no tokenizer.json, the form in which tokenizers are read here');
  const sentence = await read(
    files,
    'sentence_bert_config.json',
    z.looseObject({ max_seq_length: z.int().positive().nullish() }),
  );
  const lengths = [sentence?.max_seq_length, tokenizer?.model_max_length, config.max_position_embeddings];
  const plan: ModelPlan = {
    model,
    folder: files.folder,
    dtype: dtype.name,
    bytes: dtype.bytes,
    device: options.device,
    ...(await poolingOf(files)),
    prompts: await promptsOf(files),
    maxTokens: Math.min(...lengths.map((length) => length ?? Infinity), 2 ** 20),
    vocabSize: config.vocab_size ?? null,
  };
  await files.done?.();
  return plan;
}

function filesOf(model: string, options: LocalOptions): Files {
  const folder = findModelFolder(model, options);
  if (folder) return { model, folder, has: async (path) => existsSync(join(folder, path)) };
  if (!model.includes('/')) throw modelNotFound(model);
  const kept = join(options.folder, '.hub', model);
  const hubFolder = { model, hub: options.hub, folder: kept };
  const isWhole = existsSync(join(kept, whole));
  return {
    model,
    folder: kept,
    // Of what was fetched before nothing is asked again but weights, which go by the dtype.
    has: async (path) =>
      isWhole && !path.startsWith('onnx/') ? existsSync(join(kept, path)) : downloadFile(hubFolder, path),
    done: () => writeFile(join(kept, whole), ''),
  };
}

/** Says that every file was asked for that the model may have: with it, the Hub is not needed again. */
const whole = '.whole';

async function read<T>(files: Files, path: string, schema: z.ZodType<T>): Promise<T | null> {
  if (!(await files.has(path))) return null;
  try {
    return schema.parse(JSON.parse(await readFile(join(files.folder, path), 'utf8')));
  } catch {
    throw modelDamaged(files.model, path);
  }
}

async function weightsOf(files: Files, { dtype }: LocalOptions, config: z.output<typeof configFile>) {
  const own = config['transformers.js_config'];
  const wanted = dtype === 'auto' ? [own?.dtype ?? 'fp32', 'fp32', 'q8'] : [dtype];
  for (const name of wanted) {
    const path = `onnx/model${suffixes[name] ?? ''}.onnx`;
    if (!(await files.has(path))) continue;
    const bytes =
      (await sizeOf(files, path)) + (await externalData(files, path, own?.use_external_data_format));
    return { name, bytes };
  }
  throw modelUnsupported(
    files.model,
    `it has no ONNX weights of this dtype (onnx/model${suffixes[wanted[0]!] ?? ''}.onnx)`,
  );
}

/** Weights beyond what one protobuf holds lie beside it, in one file or several. */
async function externalData(files: Files, path: string, format: unknown): Promise<number> {
  if (!format) return 0;
  const count = typeof format === 'number' ? format : 1;
  let bytes = 0;
  for (let at = 0; at < count; at++) {
    const data = `${path}_data${at > 0 ? `_${at}` : ''}`;
    if (await files.has(data)) bytes += await sizeOf(files, data);
  }
  return bytes;
}

const sizeOf = async ({ folder }: Files, path: string) => (await stat(join(folder, path))).size;

/** Without modules, mean pooling: what Sentence Transformers makes of a bare encoder; and unit length, as OpenAI's vectors have. */
async function poolingOf(files: Files): Promise<Pick<ModelPlan, 'pooling' | 'normalize' | 'poolsPrompt'>> {
  const modules = await read(files, 'modules.json', modulesFile);
  if (!modules) return { pooling: 'mean', normalize: true, poolsPrompt: true };
  const kinds = modules.map(({ type }) => type.split('.').at(-1)!);
  const other = kinds.find((kind) => !['Transformer', 'Pooling', 'Normalize'].includes(kind));
  if (other) throw modelUnsupported(files.model, `its vectors go through a module of the type ${other}`);
  const path = modules[kinds.indexOf('Pooling')]?.path ?? '1_Pooling';
  const config = await read(files, `${path}/config.json`, poolingFile);
  return {
    pooling: config ? modeOf(config, files.model) : 'mean',
    normalize: kinds.includes('Normalize'),
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

function modeOf(config: Record<string, unknown>, model: string): PoolingMode {
  const named = config['pooling_mode'];
  const chosen =
    typeof named === 'string'
      ? [named]
      : Object.keys(config).filter((key) => key.startsWith('pooling_mode_') && config[key] === true);
  const mode = chosen.length === 1 ? modes[chosen[0]!] : undefined;
  if (!mode) throw modelUnsupported(model, `its pooling is ${chosen.join(' and ') || 'none'}`);
  return mode;
}

async function promptsOf(files: Files): Promise<ModelPlan['prompts']> {
  const config = await read(files, 'config_sentence_transformers.json', promptsFile);
  const prompts = config?.prompts ?? {};
  const other = prompts[config?.default_prompt_name ?? ''] ?? '';
  const first = (...names: string[]) => names.map((name) => prompts[name]).find(Boolean) ?? other;
  return { query: first('query'), passage: first('document', 'passage', 'corpus'), other };
}
