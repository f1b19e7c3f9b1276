/** `/v1/moderations`, and the reranking that Cohere, Jina, vLLM, TEI and llama.cpp serve beside OpenAI's API. */
import type OpenAI from 'openai';
import type { OutputOf } from '#catalogue';
import { parseUsage } from '../collect-stream.ts';
import type { Handler } from '../provider.ts';
import type { UpstreamUsage } from '../stream-collectors.ts';
import { invalidOutput } from '../failures.ts';
import type { Connection } from './connection.ts';

export const moderation =
  (deps: Connection): Handler<'moderation'> =>
  async ({ model, input: { input } }, { signal }) => {
    const body = { model, input } as OpenAI.ModerationCreateParams;
    const answer = await deps.callForJson(signal, (client) => client.moderations.create(body, { signal }));
    const { id, results } = answer;
    const usage = parseUsage(answer.usage);
    return { id, results, ...(usage && { usage }) } as unknown as OutputOf<'moderation'>;
  };

interface Ranked {
  readonly usage?: UpstreamUsage & { readonly total_tokens?: number };
  readonly results?: readonly {
    readonly index: number;
    readonly relevance_score?: number;
    /** TEI's name for it. */
    readonly score?: number;
  }[];
}

export const reranking =
  (deps: Connection): Handler<'reranking'> =>
  async ({ model, input: { query, documents, top_n: topN, return_documents: isShown } }, { signal }) => {
    const body = { model, query, documents, top_n: topN };
    const answer = await deps.callForJson(signal, (client) =>
      client.post<Ranked>('/rerank', { body, signal }),
    );
    const ranked = Array.isArray(answer) ? (answer as Ranked['results']) : answer.results;
    if (!ranked) throw invalidOutput('it holds no results');
    const results = ranked.map(({ index, relevance_score: relevance, score }) => {
      const document = documents[index];
      const found = relevance ?? score;
      if (document === undefined || found === undefined)
        throw invalidOutput('it ranks what was not asked about');
      return { index, relevance_score: found, ...(isShown && { document }) };
    });
    results.sort((a, b) => b.relevance_score - a.relevance_score);
    const counted = answer.usage;
    const usage = counted && parseUsage({ prompt_tokens: counted.total_tokens, ...counted });
    return { results: topN === undefined ? results : results.slice(0, topN), ...(usage && { usage }) };
  };
