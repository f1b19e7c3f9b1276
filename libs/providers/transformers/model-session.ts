/** One model in one thread: its tokenizer and its session on the runtime, loaded, measured, and run. */
import { AutoModel, AutoTokenizer, env, Tensor, type PreTrainedModel } from '@huggingface/transformers';
import type { Embedded, EmbedJob, MicroBatch, ModelPlan, ThreadOptions } from './thread-messages.ts';
import { normalize, pool, type TokenVectors } from './pooling.ts';
import { ModelTokenizer } from './model-tokenizer.ts';

// Whatever comes from a Hub was fetched before a thread hears of it.
env.allowRemoteModels = false;
env.useFSCache = false;

/** The runtime's own words for errors alone. */
const logErrors = 3;

export class UnsupportedOutput extends Error {}
export class InvalidDimensions extends Error {}

export class ModelSession {
  // Declared one by one: a thread is started from these sources as well, and Node only strips their types.
  private readonly plan: ModelPlan;
  private readonly model: PreTrainedModel;
  private readonly tokenize: ModelTokenizer;
  private readonly padding: number;

  private constructor(plan: ModelPlan, model: PreTrainedModel, tokenize: ModelTokenizer, padding: number) {
    this.plan = plan;
    this.model = model;
    this.tokenize = tokenize;
    this.padding = padding;
  }

  static async load(plan: ModelPlan, { cpuThreads }: ThreadOptions): Promise<ModelSession> {
    const local = { local_files_only: true } as const;
    const tokenizer = await AutoTokenizer.from_pretrained(plan.folder, local);
    const model = await AutoModel.from_pretrained(plan.folder, {
      ...local,
      device: plan.device,
      dtype: plan.dtype as 'fp32',
      session_options: {
        logSeverityLevel: logErrors,
        ...(cpuThreads > 0 && { intraOpNumThreads: cpuThreads }),
      },
    });
    return new ModelSession(plan, model, new ModelTokenizer(tokenizer, plan), tokenizer.pad_token_id ?? 0);
  }

  async embed({ inputs, purpose, dimensions }: Omit<EmbedJob, 'type' | 'model'>): Promise<Embedded> {
    const texts = inputs.map((input) => this.tokenize.encode(input, purpose));
    const vectors = await this.run(texts.map(({ ids }) => ids));
    const width = dimensions ?? vectors.width;
    if (width > vectors.width)
      throw new InvalidDimensions(`this model's vectors have ${vectors.width} numbers at most`);
    const { pooling, normalize: toUnit } = this.plan;
    const all = new Float32Array(texts.length * width);
    for (const [row, { ids, skip }] of texts.entries()) {
      const whole = pool(vectors, row, pooling, skip, ids.length);
      const vector = whole.subarray(0, width);
      if (toUnit || width < vectors.width) normalize(vector);
      all.set(vector, row * width);
    }
    return {
      vectors: all,
      width,
      tokens: texts.map(({ ids }) => ids.length),
      truncated: texts.map(({ truncated }) => truncated),
    };
  }

  async dispose(): Promise<void> {
    await this.model.dispose();
  }

  /**
   * Doubles the micro-batch while more tokens a second come out of it; each size counts by the faster of two runs.
   * @returns of those within 3 % of the best the smallest, so that little waits behind it; where that is over in no
   * time, a larger one, as handing it over costs more then.
   */
  async measure(): Promise<MicroBatch> {
    const length = Math.min(trial.length, this.plan.maxTokens);
    const tried: { items: number; ms: number; speed: number }[] = [];
    const began = performance.now();
    for (let items = 1, worse = 0; items <= trial.largest[this.plan.device] && worse < 2; items *= 2) {
      const rows = Array.from({ length: items }, () => new Array<number>(length).fill(this.padding));
      if (items === 1) await this.run(rows);
      const ms = Math.min(await this.time(rows), await this.time(rows));
      const speed = items / ms;
      worse = ms > trial.briefMs && tried.some((other) => other.speed >= speed) ? worse + 1 : 0;
      tried.push({ items, ms, speed });
      if (performance.now() - began > trial.withinMs) break;
    }
    const best = Math.max(...tried.map(({ speed }) => speed));
    const long = tried.find(({ ms, speed }) => speed >= best * 0.97 && ms > trial.briefMs);
    const { items } = long ?? tried.findLast(({ speed }) => speed >= best * 0.8)!;
    // Short texts may be many; what a call costs beside its tokens is then shared by more of them.
    return { tokens: items * length, items: Math.min(items * 16, trial.mostItems) };
  }

  private async time(rows: readonly (readonly number[])[]): Promise<number> {
    const from = performance.now();
    await this.run(rows);
    return performance.now() - from;
  }

  /** @param rows token ids of each text */
  private async run(rows: readonly (readonly number[])[]): Promise<TokenVectors> {
    const longest = rows.reduce((most, { length }) => Math.max(most, length), 1);
    const ids = new BigInt64Array(rows.length * longest).fill(BigInt(this.padding));
    const mask = new BigInt64Array(rows.length * longest);
    for (const [row, tokens] of rows.entries()) {
      for (const [at, id] of tokens.entries()) ids[row * longest + at] = BigInt(id);
      mask.fill(1n, row * longest, row * longest + tokens.length);
    }
    const shape = [rows.length, longest];
    const output = (await this.model({
      input_ids: new Tensor('int64', ids, shape),
      attention_mask: new Tensor('int64', mask, shape),
    })) as Record<string, Tensor | undefined>;
    const tensor = output['last_hidden_state'] ?? output['token_embeddings'];
    if (tensor?.dims.length !== 3) {
      throw new UnsupportedOutput('it answers with no vector for each token (last_hidden_state)');
    }
    return { data: tensor.to('float32').data as Float32Array, longest, width: tensor.dims[2]! };
  }
}

const trial = { length: 128, largest: { cpu: 64, cuda: 512 }, briefMs: 15, withinMs: 2_500, mostItems: 512 };
