/** Texts: to vectors, labels, answers and other texts. */
import type { KindId, OutputOf } from '#catalogue';
import { invalidOutput, unsupportedRequest } from '../failures.ts';
import type { Handler } from '../provider.ts';
import type { Connection } from './connection.ts';
import type { InferenceEndpoints } from './images.ts';
import { parseTarget } from './target.ts';

type Make<K extends KindId> = (deps: Connection, endpoints: InferenceEndpoints) => Handler<K>;

export const embeddings: Make<'embeddings'> =
  (deps, endpoints) =>
  async ({ model, input: { inputs, dimensions } }, { signal }) => {
    if (inputs.some((input) => typeof input !== 'string')) {
      throw unsupportedRequest('Models of Hugging Face take text, not token ids.', 'input');
    }
    const found = (await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.featureExtraction(
        { ...to, inputs: inputs as string[], ...(dimensions && { dimensions }) },
        options,
      ),
    )) as unknown[];
    const vectors = found.map((one) => {
      if (!Array.isArray(one) || Array.isArray(one[0]))
        throw invalidOutput('the model gives vectors of tokens, not of texts');
      return Float32Array.from(one as number[], (value) => value ?? NaN);
    });
    // Nothing is counted upstream: four characters a token.
    return { vectors, tokens: inputs.map((input) => Math.ceil(input.length / 4)) };
  };

export const sentenceSimilarity: Make<'sentence-similarity'> =
  (deps, endpoints) =>
  async ({ model, input: { source_sentence, sentences } }, { signal }) => ({
    similarities: await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.sentenceSimilarity({ ...to, inputs: { source_sentence, sentences } }, options),
    ),
  });

export const textClassification: Make<'text-classification'> =
  (deps, endpoints) =>
  async ({ model, input: { text, top_k } }, { signal }) => ({
    labels: await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.textClassification({ ...to, inputs: text, ...(top_k && { parameters: { top_k } }) }, options),
    ),
  });

export const zeroShotClassification: Make<'zero-shot-classification'> =
  (deps, endpoints) =>
  async ({ model, input: { text, metadata: _, ...parameters } }, { signal }) => ({
    labels: await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.zeroShotClassification({ ...to, inputs: text, parameters }, options),
    ),
  });

export const tokenClassification: Make<'token-classification'> =
  (deps, endpoints) =>
  async ({ model, input: { text, metadata: _, ...parameters } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.tokenClassification({ ...to, inputs: text, parameters }, options),
    );
    return {
      entities: found.map(({ entity_group, score, word, start, end }) => ({
        ...{ label: entity_group ?? '', score, word, start, end },
      })),
    };
  };

export const fillMask: Make<'fill-mask'> =
  (deps, endpoints) =>
  async ({ model, input: { text, metadata: _, ...parameters } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.fillMask({ ...to, inputs: text, parameters }, options),
    );
    return {
      fills: found.map(({ token_str, score, sequence }) => ({ token: String(token_str), score, sequence })),
    };
  };

export const questionAnswering: Make<'question-answering'> =
  (deps, endpoints) =>
  async ({ model, input: { question, context } }, { signal }) => {
    const { answer, score, start, end } = await deps.call(
      parseTarget(model, endpoints),
      signal,
      (client, { to, options }) =>
        client.questionAnswering({ ...to, inputs: { question, context } }, options),
    );
    return { answers: [{ answer, score, start, end }] };
  };

export const tableQuestionAnswering: Make<'table-question-answering'> =
  (deps, endpoints) =>
  async ({ model, input: { question, table } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.tableQuestionAnswering({ ...to, inputs: { query: question, question, table } }, options),
    );
    const { answer, cells, coordinates, aggregator } = found as OutputOf<'table-question-answering'>;
    return { answer, cells, coordinates, aggregator };
  };

export const summarization: Make<'summarization'> =
  (deps, endpoints) =>
  async ({ model, input: { text, min_length, max_length } }, { signal }) => {
    const limits = { ...(min_length && { min_length }), ...(max_length && { max_length }) };
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.summarization({ ...to, inputs: text, parameters: { generate_parameters: limits } }, options),
    );
    return { summary: found.summary_text };
  };

export const translation: Make<'translation'> =
  (deps, endpoints) =>
  async ({ model, input: { text, source_language: src_lang, target_language: tgt_lang } }, { signal }) => {
    const found = await deps.call(parseTarget(model, endpoints), signal, (client, { to, options }) =>
      client.translation({ ...to, inputs: text, parameters: { src_lang, tgt_lang } }, options),
    );
    const [first] = [found].flat();
    if (!first) throw invalidOutput('it holds no translation');
    return { translation: first.translation_text };
  };

export const textGeneration: Make<'text-generation'> =
  (deps, endpoints) =>
  async ({ model, input }, { signal }) => {
    const { prompt, max_tokens, temperature, top_p, top_k, seed, stop, repetition_penalty } = input;
    const parameters = {
      ...{
        max_new_tokens: max_tokens ?? undefined,
        temperature: temperature ?? undefined,
        top_p: top_p ?? undefined,
      },
      ...{
        top_k: top_k ?? undefined,
        seed: seed ?? undefined,
        repetition_penalty: repetition_penalty ?? undefined,
      },
      ...(stop && { stop: [stop].flat() }),
    };
    const { generated_text: text } = await deps.call(
      parseTarget(model, endpoints),
      signal,
      (client, { to, options }) => client.textGeneration({ ...to, inputs: prompt, parameters }, options),
    );
    return { choices: [{ index: 0, text, finish_reason: 'stop' }] };
  };
