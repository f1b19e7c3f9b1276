/**
 * Whether models accept images, as the server reports it. Asked when a request with images first arrives, then cached:
 * requests without images never cost a call, and those with images rarely do.
 */
import { LRUCache } from 'lru-cache';
import type { ModelAccess } from './run.ts';

/** @returns null if the server does not report it. */
type AskServer = (access: ModelAccess, signal: AbortSignal) => Promise<boolean | null>;

const knownMs = 600_000;
const unknownMs = 30_000;
/** Short, because the caller's request waits for it. */
const timeoutMs = 2_000;
const maxModels = 1_000;

/** @returns a function that is true for models about which nothing is known: the upstream then decides. */
export function cacheImageSupport(ask: AskServer): (access: ModelAccess) => Promise<boolean> {
  const cache = new LRUCache<string, Promise<boolean | null>>({ max: maxModels, ttl: unknownMs });
  const request = (key: string, access: ModelAccess) => {
    const answer = ask(access, AbortSignal.timeout(timeoutMs)).catch(() => null);
    cache.set(key, answer);
    void answer.then((accepts) => {
      if (accepts !== null && cache.peek(key) === answer) cache.set(key, answer, { ttl: knownMs });
    });
    return answer;
  };
  return async (access) => {
    const key = `${access.credential.id} ${access.model}`;
    return (await (cache.get(key) ?? request(key, access))) ?? true;
  };
}

/**
 * A model in the lists of OpenRouter (https://openrouter.ai/docs/overview/models) and of Hugging Face's router
 * (https://router.huggingface.co/v1/models). Most other servers list ids only.
 */
export interface ListedModel {
  readonly id: string;
  readonly architecture?: { readonly input_modalities?: readonly string[] };
}

export function findImageSupport(list: Iterable<ListedModel>, model: string): boolean | null {
  for (const { id, architecture } of list) {
    if (id === model) return architecture?.input_modalities?.includes('image') ?? null;
  }
  return null;
}
