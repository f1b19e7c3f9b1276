/** What an Ollama server has in memory, and fetching for it what it lacks: as local models come, when they are asked for. */
import type { Failure } from '#domain';
import { ProviderFailure } from '#domain';
import type { HostedModel, ModelHost } from '../provider.ts';
import type { Connection } from './connection.ts';

interface Running {
  readonly name: string;
  readonly size?: number;
  readonly size_vram?: number;
  readonly details?: { readonly quantization_level?: string };
}

/** What is held is asked for so often at most. */
const lookEveryMs = 5_000;
const lookMs = 2_000;

/** What failed is not fetched again for so long: a batch's lines ask one after the other. */
const failedMs = 30_000;

interface Failed {
  readonly failure: Failure;
  readonly at: number;
}

export class OllamaModels implements ModelHost {
  private running = new Map<string, HostedModel>();
  private readonly loading = new Map<string, Promise<void>>();
  private readonly failed = new Map<string, Failed>();
  private readonly over = new AbortController();
  private lookedAt = 0;

  constructor(private readonly deps: Connection) {}

  list(): HostedModel[] {
    if (Date.now() - this.lookedAt > lookEveryMs) void this.look().catch(() => undefined);
    const nothing = { bytes: 0, device: 'ollama', dtype: 'auto' };
    const others = [
      ...[...this.loading.keys()].map((model) => ({
        ...{ ...nothing, model, usedAt: new Date() },
        state: 'loading' as const,
      })),
      ...[...this.failed].map(([model, { failure, at }]) => ({
        ...{ ...nothing, model, usedAt: new Date(at), state: 'failed' as const },
        error: { code: failure.code, message: failure.message },
      })),
    ];
    const ready = [...this.running.values()].filter(({ model }) => !this.loading.has(model));
    return [...ready, ...others];
  }

  /** Pulled where the server lacks it, and in its memory. @throws ProviderFailure */
  load(name: string): Promise<void> {
    const model = plain(name);
    const failed = this.failed.get(model);
    if (failed && Date.now() - failed.at < failedMs) return Promise.reject(failed.failure);
    const running = this.running.get(model);
    if (running) {
      this.running.set(model, { ...running, usedAt: new Date() });
      return Promise.resolve();
    }
    let loading = this.loading.get(model);
    if (!loading) {
      this.failed.delete(model);
      loading = this.fetch(model).finally(() => this.loading.delete(model));
      this.loading.set(model, loading);
    }
    return loading;
  }

  async unload(name: string): Promise<void> {
    const model = plain(name);
    this.failed.delete(model);
    await this.deps.post('/api/generate', { model, keep_alive: 0 }, this.over.signal);
    this.running.delete(model);
  }

  async close(): Promise<void> {
    this.over.abort(new Error('closed'));
  }

  /** Names of those that lie on the server's disk. */
  async listModels(): Promise<string[]> {
    const { models } = await this.deps.get<{ models: Running[] }>('/api/tags', AbortSignal.timeout(lookMs));
    return models.map(({ name }) => plain(name));
  }

  /** @returns whether it takes images; null where the server does not say, as those before 0.6.4 do not. */
  async acceptsImages(name: string, signal: AbortSignal): Promise<boolean | null> {
    const shown = await this.deps.post<{ capabilities?: string[] }>('/api/show', { model: name }, signal);
    return shown.capabilities?.includes('vision') ?? null;
  }

  private async fetch(model: string): Promise<void> {
    const { signal } = this.over;
    // A call without inputs loads a model of any sort, and calculates nothing.
    const warm = () => this.deps.post('/api/embed', { model, input: [] }, signal);
    try {
      await warm().catch(async (error: unknown) => {
        if (!(error instanceof ProviderFailure && error.status === 404)) throw error;
        await this.deps.stream('/api/pull', { model }, signal, () => undefined);
        await warm();
      });
      await this.look();
    } catch (error) {
      const isForGood = error instanceof ProviderFailure && !error.retryable;
      if (isForGood) this.failed.set(model, { failure: error, at: Date.now() });
      throw error;
    }
  }

  private async look(): Promise<void> {
    this.lookedAt = Date.now();
    const { models } = await this.deps.get<{ models: Running[] }>('/api/ps', AbortSignal.timeout(lookMs));
    const usedAt = new Date();
    this.running = new Map(
      models.map(({ name, size = 0, size_vram: onDevice = 0, details }) => [
        plain(name),
        {
          model: plain(name),
          state: 'ready',
          bytes: size,
          device: onDevice > 0 ? 'gpu' : 'cpu',
          dtype: details?.quantization_level ?? 'auto',
          usedAt: this.running.get(plain(name))?.usedAt ?? usedAt,
        },
      ]),
    );
  }
}

/** `name` and `name:latest` are one model. */
const plain = (name: string) => name.replace(/:latest$/, '');
