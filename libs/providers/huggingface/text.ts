/** Tasks on text: embeddings, classification, question answering, translation, generation. */
import { requireSingleText, type KindId, type OutputOf } from '#catalogue';
import { invalidOutput, unsupportedRequest } from '../failures.ts';
import type { Handler } from '../run.ts';
import type { Connection } from './connection.ts';

type BuildHandler<K extends KindId> = (connection: Connection) => Handler<K>;

export const embeddings: BuildHandler<'embeddings'> =
  (connection) =>
  async ({ input: { inputs, dimensions, purpose }, ...access }, { signal }) => {
    if (inputs.some((input) => typeof input !== 'string')) {
      throw unsupportedRequest('Models of Hugging Face accept text, not token ids.', 'input');
    }
    const answer = (await connection.call(access, signal, (client, { to, options }) =>
      client.featureExtraction(
        {
          ...{ ...to, inputs: inputs as string[] },
          ...(dimensions && { dimensions }),
          // The names of prompts in sentence-transformers' configuration of a model.
          ...(purpose && { prompt_name: purpose }),
        },
        options,
      ),
    )) as unknown[];
    const vectors = answer.map((vector) => {
      if (!Array.isArray(vector) || Array.isArray(vector[0]))
        throw invalidOutput('the model returns a vector for each token, not for each text');
      return Float32Array.from(vector as number[], (value) => value ?? NaN);
    });
    // The upstream reports no token count: four characters count as a token.
    return { vectors, tokens: inputs.map((input) => Math.ceil(input.length / 4)) };
  };

export const sentenceSimilarity: BuildHandler<'sentence-similarity'> =
  (connection) =>
  async ({ input: { source_sentence, sentences }, ...access }, { signal }) => ({
    similarities: await connection.call(access, signal, (client, { to, options }) =>
      client.sentenceSimilarity({ ...to, inputs: { source_sentence, sentences } }, options),
    ),
  });

export const textClassification: BuildHandler<'text-classification'> =
  (connection) =>
  async ({ input: { text, top_k }, ...access }, { signal }) => ({
    labels: await connection.call(access, signal, (client, { to, options }) =>
      client.textClassification({ ...to, inputs: text, ...(top_k && { parameters: { top_k } }) }, options),
    ),
  });

export const zeroShotClassification: BuildHandler<'zero-shot-classification'> =
  (connection) =>
  async ({ input: { text, metadata: _, ...parameters }, ...access }, { signal }) => ({
    labels: await connection.call(access, signal, (client, { to, options }) =>
      client.zeroShotClassification({ ...to, inputs: text, parameters }, options),
    ),
  });

export const tokenClassification: BuildHandler<'token-classification'> =
  (connection) =>
  async ({ input: { text, metadata: _, ...parameters }, ...access }, { signal }) => {
    const entities = await connection.call(access, signal, (client, { to, options }) =>
      client.tokenClassification({ ...to, inputs: text, parameters }, options),
    );
    return {
      entities: entities.map(({ entity_group, score, word, start, end }) => ({
        ...{ label: entity_group ?? '', score, word, start, end },
      })),
    };
  };

export const fillMask: BuildHandler<'fill-mask'> =
  (connection) =>
  async ({ input: { text, metadata: _, ...parameters }, ...access }, { signal }) => {
    const fills = await connection.call(access, signal, (client, { to, options }) =>
      client.fillMask({ ...to, inputs: text, parameters }, options),
    );
    return {
      fills: fills.map(({ token_str, score, sequence }) => ({ token: String(token_str), score, sequence })),
    };
  };

export const questionAnswering: BuildHandler<'question-answering'> =
  (connection) =>
  async ({ input: { question, context }, ...access }, { signal }) => {
    const { answer, score, start, end } = await connection.call(access, signal, (client, { to, options }) =>
      client.questionAnswering({ ...to, inputs: { question, context } }, options),
    );
    return { answers: [{ answer, score, start, end }] };
  };

export const tableQuestionAnswering: BuildHandler<'table-question-answering'> =
  (connection) =>
  async ({ input: { question, table }, ...access }, { signal }) => {
    const output = await connection.call(access, signal, (client, { to, options }) =>
      client.tableQuestionAnswering({ ...to, inputs: { query: question, question, table } }, options),
    );
    const { answer, cells, coordinates, aggregator } = output as OutputOf<'table-question-answering'>;
    return { answer, cells, coordinates, aggregator };
  };

export const summarization: BuildHandler<'summarization'> =
  (connection) =>
  async ({ input: { text, min_length, max_length }, ...access }, { signal }) => {
    const limits = { ...(min_length && { min_length }), ...(max_length && { max_length }) };
    const output = await connection.call(access, signal, (client, { to, options }) =>
      client.summarization({ ...to, inputs: text, parameters: { generate_parameters: limits } }, options),
    );
    return { summary: output.summary_text };
  };

export const translation: BuildHandler<'translation'> =
  (connection) =>
  async (
    { input: { text, source_language: src_lang, target_language: tgt_lang }, ...access },
    { signal },
  ) => {
    const output = await connection.call(access, signal, (client, { to, options }) =>
      client.translation({ ...to, inputs: text, parameters: { src_lang, tgt_lang } }, options),
    );
    const [first] = [output].flat();
    if (!first) throw invalidOutput('it has no translation');
    return { translation: first.translation_text };
  };

export const textGeneration: BuildHandler<'text-generation'> =
  (connection) =>
  async ({ input, ...access }, { signal }) => {
    const {
      prompt,
      max_tokens,
      stop,
      stream: _,
      stream_options: __,
      user: ___,
      metadata: ____,
      ...more
    } = input;
    const given = Object.entries(more).filter(([, value]) => value !== null && value !== undefined);
    const parameters = {
      ...Object.fromEntries(given),
      ...(max_tokens != null && { max_new_tokens: max_tokens }),
      ...(stop && { stop: [stop].flat() }),
    };
    const { generated_text: text } = await connection.call(access, signal, (client, { to, options }) =>
      client.textGeneration({ ...to, inputs: requireSingleText(prompt), parameters }, options),
    );
    return { choices: [{ index: 0, text, finish_reason: 'stop' }] };
  };
