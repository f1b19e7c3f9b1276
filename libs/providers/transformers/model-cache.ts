/**
 * The models in memory, limited by the size of their weights. A model is loaded when it is called and unloaded when
 * another one needs its memory. Not an `lru-cache`: that evicts synchronously, and here a model in use must be waited
 * for, an eviction awaited, and loads run one after another.
 */
import { Failure, ProviderFailure } from '#domain';
import type { HostedModel } from '../model-host.ts';
import { modelMemoryFull, modelTooLarge } from './failures.ts';
import type { LocalOptions } from './options.ts';
import type { ModelPlan } from './thread-messages.ts';

interface Entry {
  readonly model: string;
  readonly loading: Promise<ModelPlan>;
  plan: ModelPlan | null;
  failure: Failure | null;
  state: HostedModel['state'];
  /** Number of calls that use it now. */
  users: number;
  usedAt: Date;
  /** Sequence number of its latest use. Several uses may have the same time. */
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

/** A load that failed for good is not repeated for this time, because each line of a batch asks for the model. */
const failureTtlMs = 30_000;

export class ModelCache {
  private readonly entries = new Map<string, Entry>();
  private lastLoad: Promise<unknown> = Promise.resolve();
  private useCount = 0;
  /** Called whenever a call no longer uses its model. */
  private readonly releaseListeners = new Set<() => void>();

  constructor(private readonly options: ModelCacheOptions) {}

  /** Runs with a model that stays loaded until `run` settles. @throws ProviderFailure */
  async withModel<T>(model: string, run: (plan: ModelPlan) => Promise<T>): Promise<T> {
    const entry = this.getOrLoad(model);
    entry.users++;
    try {
      return await run(await entry.loading);
    } finally {
      entry.users--;
      entry.usedAt = new Date();
      entry.lastUse = ++this.useCount;
      for (const listener of this.releaseListeners) listener();
    }
  }

  async unload(model: string): Promise<void> {
    const entry = this.entries.get(model);
    if (!entry) return;
    await entry.loading.catch(() => undefined);
    await this.remove(entry);
  }

  list(): HostedModel[] {
    return [...this.entries.values()].map(({ model, state, plan, usedAt, failure }) => ({
      model,
      state,
      bytes: state === 'failed' ? 0 : this.computeBytes(plan),
      device: this.options.device,
      dtype: plan?.dtype ?? this.options.dtype,
      usedAt,
      ...(failure && { error: { code: failure.code, message: failure.message } }),
    }));
  }

  private getOrLoad(model: string): Entry {
    const found = this.entries.get(model);
    const isStale = found?.state === 'failed' && Date.now() - found.usedAt.getTime() > failureTtlMs;
    if (found && !isStale) return found;
    const { promise, resolve, reject } = Promise.withResolvers<ModelPlan>();
    const entry: Entry = {
      model,
      loading: promise,
      plan: null,
      failure: null,
      state: 'loading',
      users: 0,
      usedAt: new Date(),
      lastUse: ++this.useCount,
    };
    this.entries.set(model, entry);
    this.load(entry).then(resolve, (error: unknown) => {
      this.recordFailure(entry, error);
      reject(error);
    });
    return entry;
  }

  private async load(entry: Entry): Promise<ModelPlan> {
    const plan = await this.options.readPlan(entry.model);
    // One after another, so that each load counts the memory of the load before it.
    const load = this.lastLoad.then(async () => {
      await this.makeRoom(plan);
      entry.plan = plan;
      await this.options.load(plan);
      entry.state = 'ready';
    });
    this.lastLoad = load.catch(() => undefined);
    await load;
    return plan;
  }

  private recordFailure(entry: Entry, error: unknown): void {
    entry.plan = null;
    entry.usedAt = new Date();
    const isPermanent = error instanceof Failure && !(error instanceof ProviderFailure && error.retryable);
    if (!isPermanent) this.entries.delete(entry.model);
    else {
      entry.state = 'failed';
      entry.failure = error;
    }
  }

  private computeBytes(plan: ModelPlan | null): number {
    return (plan?.bytes ?? 0) * this.options.slots;
  }

  private computeUsedBytes(): number {
    return [...this.entries.values()].reduce((sum, { plan }) => sum + this.computeBytes(plan), 0);
  }

  /** Evicts the least recently used models that no call uses. If all are in use, waits for one. */
  private async makeRoom(plan: ModelPlan): Promise<void> {
    const { memoryBytes, evict } = this.options;
    const needed = this.computeBytes(plan);
    if (needed > memoryBytes) throw modelTooLarge(plan.model, needed, memoryBytes);
    while (this.computeUsedBytes() + needed > memoryBytes) {
      if (!evict) throw modelMemoryFull(plan.model, needed, memoryBytes - this.computeUsedBytes());
      const [leastRecent] = [...this.entries.values()]
        .filter(({ state, users }) => state === 'ready' && users === 0)
        .sort((a, b) => a.lastUse - b.lastUse);
      await (leastRecent ? this.remove(leastRecent) : this.waitForRelease());
    }
  }

  private async remove(entry: Entry): Promise<void> {
    if (this.entries.get(entry.model) !== entry) return;
    this.entries.delete(entry.model);
    if (entry.plan) await this.options.unload(entry.plan);
  }

  private waitForRelease(): Promise<void> {
    return new Promise((resolve) => {
      const listener = () => {
        this.releaseListeners.delete(listener);
        resolve();
      };
      this.releaseListeners.add(listener);
    });
  }
}
