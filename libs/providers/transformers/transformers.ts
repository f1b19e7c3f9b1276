/**
 * Local models, `local/name` and `local/org/name`, on transformers.js and ONNX Runtime, in threads of this process. The
 * runtime is loaded with the first model, because the API creates this provider too, only to check models' names.
 */
import { raceAbort } from '#async';
import type { EmbeddingsInput, EmbeddingsOutput } from '#catalogue';
import { pack, type PackLimits } from '#domain';
import { createDefaultCredential } from '../credential.ts';
import type { Provider } from '../provider.ts';
import { ModelCache } from './model-cache.ts';
import { checkModelName, listLocalModels } from './model-names.ts';
import type { LocalOptions } from './options.ts';
import { readModelPlan } from './read-model-plan.ts';
import type { Embedded, MicroBatch, ModelPlan } from './thread-messages.ts';
import { ThreadSlots } from './thread-slots.ts';

/** Used until the model is measured. */
const defaultMicroBatch: MicroBatch = { tokens: 2_048, items: 64 };

/** Lines that are sorted by length before they are packed, because a micro-batch is padded to its longest text. */
const sortWithin = 512;

/** @param threadUrl replaces the provider's own thread, for tests. */
export function createTransformers(options: LocalOptions, threadUrl?: URL): Provider {
  const slots = new ThreadSlots(options, threadUrl);
  const cache = new ModelCache({
    ...options,
    readPlan: (model) => readModelPlan(model, options),
    load: (plan) => slots.load(plan),
    unload: (plan) => slots.unload(plan),
  });
  const getPackLimits = (model: string): PackLimits => {
    const { tokens, items } = slots.getMicroBatch(model) ?? defaultMicroBatch;
    return { maxTokens: tokens, maxItems: items, sortWithin };
  };
  return {
    id: 'local',
    pool: 'local',
    // Calls need no secret. All workspaces share the models in memory, so models are always downloaded with the
    // instance's own token of the Hub: with a workspace's token, others could use a gated model that it downloaded.
    defaultCredential: createDefaultCredential('local'),
    // The breaker never opens: a thread that dies is replaced at once, and a line that kills its thread is found by
    // splitting its call.
    policy: { breaker: { maxFailures: Infinity, openMs: 0, maxOpenMs: 0 } },
    concurrency: options.slots,
    handlers: {
      // If the call is aborted while its model loads, the call ends at once and the model continues to load.
      async embeddings({ model, input }, { signal }) {
        signal.throwIfAborted();
        const work = cache.withModel(model, (plan) =>
          embed(plan, input, slots, getPackLimits(model), signal),
        );
        return raceAbort(work, signal);
      },
    },
    checkModel: (model) => checkModelName(model, options),
    listModels: () => listLocalModels(options),
    getPackLimits: (_kind, model) => getPackLimits(model),
    models: {
      list: () => cache.list(),
      load: (model) => cache.withModel(model, async () => undefined),
      unload: (model) => cache.unload(model),
      close: () => slots.close(),
    },
  };
}

/**
 * A call that was packed by our limits is one micro-batch. A longer call is split into several, so that other calls can
 * run between them.
 */
async function embed(
  plan: ModelPlan,
  { inputs, dimensions, purpose }: EmbeddingsInput,
  slots: ThreadSlots,
  limits: PackLimits,
  signal: AbortSignal,
): Promise<EmbeddingsOutput> {
  const vectors = new Array<Float32Array>(inputs.length);
  const tokens = new Array<number>(inputs.length);
  const truncated = new Array<boolean>(inputs.length);
  const items = inputs.map((input, at) => ({ at, key: '', items: 1, tokens: Math.ceil(input.length / 4) }));
  for (const batch of pack(items, { ...limits, sortWithin: inputs.length })) {
    signal.throwIfAborted();
    const job = {
      inputs: batch.map(({ at }) => inputs[at]!),
      purpose: purpose ?? ('other' as const),
      dimensions: dimensions ?? null,
    };
    const embedded: Embedded = await slots.embed(plan, job, signal);
    for (const [row, { at }] of batch.entries()) {
      vectors[at] = embedded.vectors.subarray(row * embedded.width, (row + 1) * embedded.width);
      tokens[at] = embedded.tokens[row]!;
      truncated[at] = embedded.truncated[row]!;
    }
  }
  return { vectors, tokens, ...(truncated.includes(true) && { truncated }) };
}
