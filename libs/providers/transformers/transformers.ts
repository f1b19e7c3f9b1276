/**
 * Local models: `local/name` and `local/org/name`, on transformers.js and ONNX Runtime, in threads of this process.
 * Nothing of the runtime is loaded before a model is: the API has this provider too, and only asks what it serves.
 */
import type { EmbeddingsInput, EmbeddingsOutput } from '#catalogue';
import { pack, type PackLimits } from '#domain';
import type { Provider } from '../provider.ts';
import type { Embedded, MicroBatch, ModelPlan } from './thread-messages.ts';
import { checkModelName, listLocalModels } from './model-names.ts';
import type { LocalOptions } from './options.ts';
import { readModelPlan } from './read-model-plan.ts';
import { ModelCache } from './model-cache.ts';
import { Slots } from './thread-slots.ts';

/** Before a model was measured. */
const usual: MicroBatch = { tokens: 2_048, items: 64 };

/** Lines that are sorted by length before they are packed: a micro-batch is padded to its longest text. */
const sortWithin = 512;

/** @param threadUrl another thread than the provider's own, for tests. */
export function createTransformers(options: LocalOptions, threadUrl?: URL): Provider {
  const slots = new Slots(options, threadUrl);
  const shelf = new ModelCache({
    ...options,
    readPlan: (model) => readModelPlan(model, options),
    load: (plan) => slots.load(plan),
    unload: (plan) => slots.unload(plan),
  });
  const limitsOf = (model: string): PackLimits => {
    const { tokens, items } = slots.microBatch(model) ?? usual;
    return { maxTokens: tokens, maxItems: items, sortWithin };
  };
  return {
    id: 'local',
    pool: 'local',
    // A thread that dies is replaced at once, and what it died of is looked for: there is no outage to wait out.
    policy: { breaker: { maxFailures: Infinity, openMs: 0, maxOpenMs: 0 } },
    concurrency: options.slots,
    handlers: {
      embeddings: ({ model, input }, { signal }) =>
        aborted(signal, () =>
          shelf.withModel(model, (plan) => embed(plan, input, slots, limitsOf(model), signal)),
        ),
    },
    checkModel: (model) => checkModelName(model, options),
    listModels: () => listLocalModels(options),
    getPackLimits: (_kind, model) => limitsOf(model),
    models: {
      list: () => shelf.list(),
      load: (model) => shelf.withModel(model, async () => undefined),
      unload: (model) => shelf.unload(model),
      close: () => slots.close(),
    },
  };
}

/** A call that is given up while its model loads is over at once; the model goes on loading for whoever comes next. */
function aborted<T>(signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason as Error);
    if (signal.aborted) return leave();
    signal.addEventListener('abort', leave, { once: true });
    run()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', leave));
  });
}

/** A call is one micro-batch where its caller packed by our limits; a longer one is cut, and others come in between. */
async function embed(
  plan: ModelPlan,
  { inputs, dimensions, purpose }: EmbeddingsInput,
  slots: Slots,
  limits: PackLimits,
  signal: AbortSignal,
): Promise<EmbeddingsOutput> {
  const vectors = new Array<Float32Array>(inputs.length);
  const tokens = new Array<number>(inputs.length);
  const truncated = new Array<boolean>(inputs.length);
  const weighed = inputs.map((input, at) => ({ at, key: '', items: 1, tokens: Math.ceil(input.length / 4) }));
  for (const batch of pack(weighed, { ...limits, sortWithin: inputs.length })) {
    signal.throwIfAborted();
    const job = {
      inputs: batch.map(({ at }) => inputs[at]!),
      purpose: purpose ?? ('other' as const),
      dimensions: dimensions ?? null,
    };
    const done: Embedded = await slots.embed(plan, job, signal);
    for (const [row, { at }] of batch.entries()) {
      vectors[at] = done.vectors.subarray(row * done.width, (row + 1) * done.width);
      tokens[at] = done.tokens[row]!;
      truncated[at] = done.truncated[row]!;
    }
  }
  return { vectors, tokens, ...(truncated.includes(true) && { truncated }) };
}
