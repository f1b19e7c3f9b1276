/** The models that are held in memory: loaded when they are called, unloaded when another needs their room. */
import { Failure, ProviderFailure } from '#domain';
import type { HostedModel } from '../provider.ts';
import { modelMemoryFull, modelTooLarge } from './failures.ts';
import type { ModelPlan } from './thread-messages.ts';
import type { LocalOptions } from './options.ts';

interface Entry {
  readonly model: string;
  readonly loading: Promise<ModelPlan>;
  plan: ModelPlan | null;
  failure: Failure | null;
  state: HostedModel['state'];
  /** Calls that are using it. */
  uses: number;
  usedAt: Date;
  /** Number of its latest use, among all: the clock has the same time for several. */
  lastUse: number;
}

export interface ModelCacheOptions extends Pick<
  LocalOptions,
  'memoryBytes' | 'evict' | 'slots' | 'device' | 'dtype'
> {
  readonly readPlan: (model: string) => Promise<ModelPlan>;
  readonly load: (plan: ModelPlan) => Promise<void>;
  readonly unload: (plan: ModelPlan) => Promise<void>;
}

/** What failed for good is not tried again for so long: a batch's lines ask one after the other. */
const failedMs = 30_000;

export class ModelCache {
  private readonly entries = new Map<string, Entry>();
  private making: Promise<unknown> = Promise.resolve();
  private count = 0;
  private readonly released = new Set<() => void>();

  constructor(private readonly deps: ModelCacheOptions) {}

  /** Runs with a model that stays loaded meanwhile. @throws ProviderFailure */
  async withModel<T>(model: string, run: (plan: ModelPlan) => Promise<T>): Promise<T> {
    const entry = this.entryOf(model);
    entry.uses++;
    try {
      return await run(await entry.loading);
    } finally {
      entry.uses--;
      entry.usedAt = new Date();
      entry.lastUse = ++this.count;
      for (const wake of this.released) wake();
    }
  }

  async unload(model: string): Promise<void> {
    const entry = this.entries.get(model);
    if (!entry) return;
    await entry.loading.catch(() => undefined);
    await this.drop(entry);
  }

  list(): HostedModel[] {
    return [...this.entries.values()].map(({ model, state, plan, usedAt, failure }) => ({
      model,
      state,
      bytes: state === 'failed' ? 0 : this.bytesOf(plan),
      device: this.deps.device,
      dtype: plan?.dtype ?? this.deps.dtype,
      usedAt,
      ...(failure && { error: { code: failure.code, message: failure.message } }),
    }));
  }

  private entryOf(model: string): Entry {
    const known = this.entries.get(model);
    const isStale = known?.state === 'failed' && Date.now() - known.usedAt.getTime() > failedMs;
    if (known && !isStale) return known;
    const { promise, resolve, reject } = Promise.withResolvers<ModelPlan>();
    const entry: Entry = {
      model,
      loading: promise,
      plan: null,
      failure: null,
      state: 'loading',
      uses: 0,
      usedAt: new Date(),
      lastUse: ++this.count,
    };
    this.entries.set(model, entry);
    this.fill(entry).then(resolve, (error: unknown) => {
      this.failed(entry, error);
      reject(error);
    });
    return entry;
  }

  private async fill(entry: Entry): Promise<ModelPlan> {
    const plan = await this.deps.readPlan(entry.model);
    // One after the other: each must see what the one before it took.
    const made = this.making.then(async () => {
      await this.makeRoom(plan);
      entry.plan = plan;
      await this.deps.load(plan);
      entry.state = 'ready';
    });
    this.making = made.catch(() => undefined);
    await made;
    return plan;
  }

  private failed(entry: Entry, error: unknown): void {
    entry.plan = null;
    entry.usedAt = new Date();
    const isForGood = error instanceof Failure && !(error instanceof ProviderFailure && error.retryable);
    if (!isForGood) this.entries.delete(entry.model);
    else {
      entry.state = 'failed';
      entry.failure = error;
    }
  }

  private bytesOf(plan: ModelPlan | null): number {
    return (plan?.bytes ?? 0) * this.deps.slots;
  }

  private taken(): number {
    return [...this.entries.values()].reduce((sum, { plan }) => sum + this.bytesOf(plan), 0);
  }

  /** Models that are in use are waited for; those that are not go, the one used longest ago first. */
  private async makeRoom(plan: ModelPlan): Promise<void> {
    const { memoryBytes, evict } = this.deps;
    const needs = this.bytesOf(plan);
    if (needs > memoryBytes) throw modelTooLarge(plan.model, needs, memoryBytes);
    while (this.taken() + needs > memoryBytes) {
      if (!evict) throw modelMemoryFull(plan.model, needs, memoryBytes - this.taken());
      const [oldest] = [...this.entries.values()]
        .filter(({ state, uses }) => state === 'ready' && uses === 0)
        .sort((a, b) => a.lastUse - b.lastUse);
      await (oldest ? this.drop(oldest) : this.aRelease());
    }
  }

  private async drop(entry: Entry): Promise<void> {
    if (this.entries.get(entry.model) !== entry) return;
    this.entries.delete(entry.model);
    if (entry.plan) await this.deps.unload(entry.plan);
  }

  private aRelease(): Promise<void> {
    return new Promise((resolve) => {
      const wake = () => {
        this.released.delete(wake);
        resolve();
      };
      this.released.add(wake);
    });
  }
}
