/** One model in one thread: loads its tokenizer and its session on the runtime, measures it, and runs it. */
import { AutoModel, AutoTokenizer, env, Tensor, type PreTrainedModel } from '@huggingface/transformers';
import { ModelTokenizer } from './model-tokenizer.ts';
import { normalize, pool, type TokenVectors } from './pooling.ts';
import type { Embedded, EmbedJob, MicroBatch, ModelPlan, ThreadOptions } from './thread-messages.ts';

// All files are downloaded before a thread gets the plan.
env.allowRemoteModels = false;
env.useFSCache = false;

/** The runtime logs errors only. */
const errorSeverity = 3;

export class UnsupportedOutput extends Error {}
export class InvalidDimensions extends Error {}

export class ModelSession {
  // No parameter properties: tests start the thread from these sources, and Node only strips their types.
  private readonly plan: ModelPlan;
  private readonly model: PreTrainedModel;
  private readonly tokenizer: ModelTokenizer;
  private readonly paddingId: number;

  private constructor(plan: ModelPlan, model: PreTrainedModel, tokenizer: ModelTokenizer, paddingId: number) {
    this.plan = plan;
    this.model = model;
    this.tokenizer = tokenizer;
    this.paddingId = paddingId;
  }

  static async load(plan: ModelPlan, { cpuThreads }: ThreadOptions): Promise<ModelSession> {
    const localOnly = { local_files_only: true } as const;
    const tokenizer = await AutoTokenizer.from_pretrained(plan.folder, localOnly);
    const model = await AutoModel.from_pretrained(plan.folder, {
      ...localOnly,
      device: plan.device,
      dtype: plan.dtype as 'fp32',
      session_options: {
        logSeverityLevel: errorSeverity,
        ...(cpuThreads > 0 && { intraOpNumThreads: cpuThreads }),
      },
    });
    return new ModelSession(plan, model, new ModelTokenizer(tokenizer, plan), tokenizer.pad_token_id ?? 0);
  }

  async embed({ inputs, purpose, dimensions }: Omit<EmbedJob, 'type' | 'model'>): Promise<Embedded> {
    const texts = inputs.map((input) => this.tokenizer.encode(input, purpose));
    const tokenVectors = await this.run(texts.map(({ ids }) => ids));
    const width = dimensions ?? tokenVectors.width;
    if (width > tokenVectors.width)
      throw new InvalidDimensions(`the vectors of this model have at most ${tokenVectors.width} dimensions`);
    const { pooling, normalize: scalesToUnit } = this.plan;
    const vectors = new Float32Array(texts.length * width);
    for (const [row, { ids, skip }] of texts.entries()) {
      const vector = pool(tokenVectors, row, pooling, skip, ids.length).subarray(0, width);
      if (scalesToUnit || width < tokenVectors.width) normalize(vector);
      vectors.set(vector, row * width);
    }
    return {
      vectors,
      width,
      tokens: texts.map(({ ids }) => ids.length),
      truncated: texts.map(({ truncated }) => truncated),
    };
  }

  async dispose(): Promise<void> {
    await this.model.dispose();
  }

  /**
   * Doubles the micro-batch as long as the tokens per second increase. The faster of two runs counts for each size.
   * @returns the smallest size within 3 % of the best, so that other calls wait little. If it runs in less than
   * `briefMs`, a larger size, because the cost of passing a call to the thread then matters more.
   */
  async measure(): Promise<MicroBatch> {
    const length = Math.min(trial.length, this.plan.maxTokens);
    const results: { items: number; ms: number; speed: number }[] = [];
    const startedAt = performance.now();
    for (let items = 1, slower = 0; items <= trial.maxItems[this.plan.device] && slower < 2; items *= 2) {
      const rows = Array.from({ length: items }, () => new Array<number>(length).fill(this.paddingId));
      if (items === 1) await this.run(rows); // The first run is slower than all others.
      const ms = Math.min(await this.measureRun(rows), await this.measureRun(rows));
      const speed = items / ms;
      slower = ms > trial.briefMs && results.some((other) => other.speed >= speed) ? slower + 1 : 0;
      results.push({ items, ms, speed });
      if (performance.now() - startedAt > trial.maxMs) break;
    }
    const bestSpeed = Math.max(...results.map(({ speed }) => speed));
    const smallest = results.find(({ ms, speed }) => speed >= bestSpeed * 0.97 && ms > trial.briefMs);
    const { items } = smallest ?? results.findLast(({ speed }) => speed >= bestSpeed * 0.8)!;
    // A call may hold many short texts, which then share the fixed cost of the call.
    return { tokens: items * length, items: Math.min(items * 16, trial.maxItemsPerCall) };
  }

  private async measureRun(rows: readonly (readonly number[])[]): Promise<number> {
    const startedAt = performance.now();
    await this.run(rows);
    return performance.now() - startedAt;
  }

  /** @param rows token ids of each text. */
  private async run(rows: readonly (readonly number[])[]): Promise<TokenVectors> {
    const maxLength = rows.reduce((max, { length }) => Math.max(max, length), 1);
    const ids = new BigInt64Array(rows.length * maxLength).fill(BigInt(this.paddingId));
    const mask = new BigInt64Array(rows.length * maxLength);
    for (const [row, tokens] of rows.entries()) {
      for (const [at, id] of tokens.entries()) ids[row * maxLength + at] = BigInt(id);
      mask.fill(1n, row * maxLength, row * maxLength + tokens.length);
    }
    const shape = [rows.length, maxLength];
    const output = (await this.model({
      input_ids: new Tensor('int64', ids, shape),
      attention_mask: new Tensor('int64', mask, shape),
    })) as Record<string, Tensor | undefined>;
    const tensor = output['last_hidden_state'] ?? output['token_embeddings'];
    if (tensor?.dims.length !== 3) {
      throw new UnsupportedOutput('its output has no vector for each token (last_hidden_state)');
    }
    return { data: tensor.to('float32').data as Float32Array, maxLength, width: tensor.dims[2]! };
  }
}

const trial = {
  /** Tokens of each text. */
  length: 128,
  maxItems: { cpu: 64, cuda: 512 },
  briefMs: 15,
  maxMs: 2_500,
  maxItemsPerCall: 512,
};
