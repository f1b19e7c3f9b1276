/**
 * What a server says of its models' eyes: asked for when a request first brings an image, and believed for a while, so
 * that no request without images costs a call, and few of the others do.
 */

/** @returns null where the server does not say. */
type Ask = (model: string, signal: AbortSignal) => Promise<boolean | null>;

interface Said {
  readonly sees: Promise<boolean | null>;
  until: number;
}

const believedMs = 600_000;
const askAgainMs = 30_000;
/** The request waits meanwhile. */
const answerMs = 2_000;
const most = 1_000;

/** @returns whether a model sees; true where nothing is known: the upstream will say. */
export function cacheImageSupport(ask: Ask): (model: string) => Promise<boolean> {
  const said = new Map<string, Said>();
  return async (model) => {
    let known = said.get(model);
    if (!known || known.until < Date.now()) {
      const asked: Said = {
        sees: ask(model, AbortSignal.timeout(answerMs)).catch(() => null),
        until: Date.now() + askAgainMs,
      };
      void asked.sees.then((sees) => {
        if (sees !== null) asked.until += believedMs;
      });
      said.delete(model);
      said.set(model, (known = asked));
      if (said.size > most) said.delete(said.keys().next().value!);
    }
    return (await known.sees) ?? true;
  };
}

/**
 * A model in a list as OpenRouter (https://openrouter.ai/docs/overview/models) and Hugging Face's router
 * (https://router.huggingface.co/v1/models) have it; most servers name ids alone.
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
