/**
 * Reads from a model's own files how it is to be run: `config.json`, `tokenizer_config.json` and Sentence Transformers'
 * `sentence_bert_config.json`.
 */
import { z } from 'zod';
import { modelNotFound, modelUnsupported } from './failures.ts';
import { findWeights } from './find-weights.ts';
import { openModelFiles, readJson } from './model-files.ts';
import type { LocalOptions } from './options.ts';
import { readPooling, readPrompts } from './read-pooling.ts';
import type { ModelPlan } from './thread-messages.ts';

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
const tokenizerFile = z.looseObject({ model_max_length: z.number().optional() });
const sentenceFile = z.looseObject({ max_seq_length: z.int().positive().nullish() });

/** Used if the model names no maximum length. */
const maxTokens = 2 ** 20;

/** Finds the model, and downloads it if it is on the Hub only. @throws ProviderFailure */
export async function readModelPlan(model: string, options: LocalOptions): Promise<ModelPlan> {
  const files = openModelFiles(model, options);
  const config = await readJson(files, 'config.json', configFile);
  if (!config) throw modelNotFound(model);
  const weights = await findWeights(files, options.dtype, config['transformers.js_config']);
  const tokenizer = await readJson(files, 'tokenizer_config.json', tokenizerFile);
  if (!(await files.has('tokenizer.json'))) {
    throw modelUnsupported(model, 'it has no tokenizer.json, the only supported format of tokenizers');
  }
  const sentence = await readJson(files, 'sentence_bert_config.json', sentenceFile);
  const lengths = [sentence?.max_seq_length, tokenizer?.model_max_length, config.max_position_embeddings];
  const plan: ModelPlan = {
    model,
    folder: files.folder,
    ...weights,
    device: options.device,
    ...(await readPooling(files)),
    prompts: await readPrompts(files),
    maxTokens: Math.min(...lengths.map((length) => length ?? Infinity), maxTokens),
    vocabSize: config.vocab_size ?? null,
  };
  await files.markComplete?.();
  return plan;
}
