/** `/v1/moderations`, and `/v1/rerank` as Cohere, Jina, vLLM, TEI and llama.cpp serve it beside OpenAI's API. */
import type OpenAI from 'openai';
import type { OutputOf } from '#catalogue';
import { invalidOutput } from '../failures.ts';
import type { Handler } from '../run.ts';
import { parseUsage, type UpstreamUsage } from '../usage.ts';
import type { Connection } from './connection.ts';

export const moderation =
  (connection: Connection): Handler<'moderation'> =>
  async ({ model, credential, input: { input } }, { signal }) => {
    const body = { model, input } as OpenAI.ModerationCreateParams;
    const answer = await connection.callForJson(credential, signal, (client) =>
      client.moderations.create(body, { signal }),
    );
    const { id, results } = answer;
    const usage = parseUsage(answer.usage);
    return { id, results, ...(usage && { usage }) } as unknown as OutputOf<'moderation'>;
  };

interface RerankResponse {
  readonly usage?: UpstreamUsage & { readonly total_tokens?: number };
  readonly results?: readonly {
    readonly index: number;
    readonly relevance_score?: number;
    /** TEI's name for the score. */
    readonly score?: number;
  }[];
}

export const reranking =
  (connection: Connection): Handler<'reranking'> =>
  async ({ model, credential, input }, { signal }) => {
    const { query, documents, top_n: topN, return_documents: returnDocuments } = input;
    const body = { model, query, documents, top_n: topN };
    const answer = await connection.callForJson(credential, signal, (client) =>
      client.post<RerankResponse>('/rerank', { body, signal }),
    );
    const ranked = Array.isArray(answer) ? (answer as RerankResponse['results']) : answer.results;
    if (!ranked) throw invalidOutput('it has no results');
    const results = ranked.map(({ index, relevance_score: relevance, score }) => {
      const document = documents[index];
      const relevanceScore = relevance ?? score;
      if (document === undefined || relevanceScore === undefined)
        throw invalidOutput('a result has no score, or is for a document that was not sent');
      return { index, relevance_score: relevanceScore, ...(returnDocuments && { document }) };
    });
    results.sort((a, b) => b.relevance_score - a.relevance_score);
    const reported = answer.usage;
    const usage = reported && parseUsage({ prompt_tokens: reported.total_tokens, ...reported });
    return { results: topN === undefined ? results : results.slice(0, topN), ...(usage && { usage }) };
  };
