/** `/v1/moderations`, and `/v1/rerank` as Cohere, Jina, vLLM, TEI and llama.cpp serve it beside OpenAI's API. */
import type OpenAI from 'openai';
import type { OutputOf } from '#catalogue';
import { toObjects } from '../completion-choices.ts';
import { invalidOutput } from '../failures.ts';
import type { Handler } from '../run.ts';
import { parseUsage } from '../usage.ts';
import type { Connection } from './connection.ts';

export const moderation =
  (connection: Connection): Handler<'moderation'> =>
  async ({ model, credential, input: { input } }, { signal }) => {
    const body = { model, input } as OpenAI.ModerationCreateParams;
    const answer = await connection.callForJson({ model, credential }, signal, (client) =>
      client.moderations.create(body, { signal }),
    );
    const { id } = answer;
    const results = toObjects(answer['results']);
    if (results.length === 0) throw invalidOutput('it has no results', undefined, answer);
    const usage = parseUsage(answer.usage);
    return {
      ...(typeof id === 'string' && { id }),
      results,
      ...(usage && { usage }),
    } as unknown as OutputOf<'moderation'>;
  };

export const reranking =
  (connection: Connection): Handler<'reranking'> =>
  async ({ model, credential, input }, { signal }) => {
    const { query, documents, top_n: topN, return_documents: returnDocuments } = input;
    const body = { model, query, documents, top_n: topN };
    const answer = await connection.callForJson({ model, credential }, signal, (client) =>
      client.post('/rerank', { body, signal }),
    );
    // TEI answers with a list, Jina and vLLM with `results`, Voyage with `data`.
    const ranked = answer.list ?? answer['results'] ?? answer['data'];
    if (!Array.isArray(ranked)) throw invalidOutput('it has no results', undefined, answer);
    const results = toObjects(ranked).map(({ index, relevance_score: relevance, score }) => {
      const document = documents[index as number];
      // TEI's name for the score is `score`.
      const relevanceScore = relevance ?? score;
      if (document === undefined || typeof relevanceScore !== 'number')
        throw invalidOutput('a result has no score, or is for a document that was not sent');
      return {
        index: index as number,
        relevance_score: relevanceScore,
        ...(returnDocuments && { document }),
      };
    });
    results.sort((a, b) => b.relevance_score - a.relevance_score);
    const reported = answer.usage;
    const usage = reported && parseUsage({ prompt_tokens: reported.total_tokens, ...reported });
    return { results: topN === undefined ? results : results.slice(0, topN), ...(usage && { usage }) };
  };
