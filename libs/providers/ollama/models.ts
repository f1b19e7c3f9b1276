/** The models in an Ollama server's memory. A model that the server lacks is pulled when it is first called. */
import type { Failure } from '#domain';
import { ProviderFailure } from '#domain';
import type { ProviderCredential } from '../credential.ts';
import type { HostedModel, ModelHost } from '../model-host.ts';
import type { ModelAccess } from '../run.ts';
import type { Connection } from './connection.ts';

interface ServerModel {
  readonly name: string;
  readonly size?: number;
  readonly size_vram?: number;
  readonly details?: { readonly quantization_level?: string };
}

/** Minimum time between two requests for the models in memory. */
const refreshIntervalMs = 5_000;
const listTimeoutMs = 2_000;

/** A load that failed for good is not repeated for this time, because each line of a batch asks for the model. */
const failureTtlMs = 30_000;

interface FailedLoad {
  readonly failure: Failure;
  readonly at: number;
}

export class OllamaModels implements ModelHost {
  private ready = new Map<string, HostedModel>();
  private readonly loading = new Map<string, Promise<void>>();
  private readonly failed = new Map<string, FailedLoad>();
  private readonly closed = new AbortController();
  private refreshedAt = 0;

  constructor(
    private readonly connection: Connection,
    private readonly credential: ProviderCredential,
  ) {}

  /** Returns the models as they were last read, and starts a refresh if that is some seconds ago. */
  list(): HostedModel[] {
    if (Date.now() - this.refreshedAt > refreshIntervalMs) void this.refresh().catch(() => undefined);
    const unknown = { bytes: 0, device: 'ollama', dtype: 'auto' };
    const others = [
      ...[...this.loading.keys()].map((model) => ({
        ...{ ...unknown, model, usedAt: new Date() },
        state: 'loading' as const,
      })),
      ...[...this.failed].map(([model, { failure, at }]) => ({
        ...{ ...unknown, model, usedAt: new Date(at), state: 'failed' as const },
        error: { code: failure.code, message: failure.message },
      })),
    ];
    const ready = [...this.ready.values()].filter(({ model }) => !this.loading.has(model));
    return [...ready, ...others];
  }

  /** Pulls the model if the server lacks it, and loads it into memory. @throws ProviderFailure */
  load(name: string): Promise<void> {
    const model = removeLatestTag(name);
    const failed = this.failed.get(model);
    if (failed && Date.now() - failed.at < failureTtlMs) return Promise.reject(failed.failure);
    const ready = this.ready.get(model);
    if (ready) {
      this.ready.set(model, { ...ready, usedAt: new Date() });
      return Promise.resolve();
    }
    let loading = this.loading.get(model);
    if (!loading) {
      this.failed.delete(model);
      loading = this.pullAndLoad(model).finally(() => this.loading.delete(model));
      this.loading.set(model, loading);
    }
    return loading;
  }

  async unload(name: string): Promise<void> {
    const model = removeLatestTag(name);
    this.failed.delete(model);
    await this.connection.post(
      '/api/generate',
      { model, keep_alive: 0 },
      this.credential,
      this.closed.signal,
    );
    this.ready.delete(model);
  }

  async close(): Promise<void> {
    this.closed.abort(new Error('closed'));
  }

  /** @returns the names of the models on the server's disk. */
  async listModels(): Promise<string[]> {
    return (await this.fetchModels('/api/tags')).map(({ name }) => removeLatestTag(name));
  }

  /** @returns null if the server does not report it: those before version 0.6.4 do not. */
  async acceptsImages({ model, credential }: ModelAccess, signal: AbortSignal): Promise<boolean | null> {
    const { capabilities } = await this.connection.post<{ capabilities?: string[] }>(
      '/api/show',
      { model },
      credential,
      signal,
    );
    return capabilities?.includes('vision') ?? null;
  }

  private async pullAndLoad(model: string): Promise<void> {
    const { connection, credential } = this;
    const { signal } = this.closed;
    // A call without inputs loads a model of any kind and computes nothing.
    const load = () => connection.post('/api/embed', { model, input: [] }, credential, signal);
    try {
      await load().catch(async (error: unknown) => {
        if (!(error instanceof ProviderFailure && error.status === 404)) throw error;
        await connection.stream('/api/pull', { model }, credential, signal, () => undefined);
        await load();
      });
      await this.refresh();
    } catch (error) {
      const isPermanent = error instanceof ProviderFailure && !error.retryable;
      if (isPermanent) this.failed.set(model, { failure: error, at: Date.now() });
      throw error;
    }
  }

  private async refresh(): Promise<void> {
    this.refreshedAt = Date.now();
    const models = await this.fetchModels('/api/ps');
    const now = new Date();
    this.ready = new Map(
      models.map(({ name, size = 0, size_vram: bytesOnGpu = 0, details }) => {
        const model = removeLatestTag(name);
        const entry: HostedModel = {
          model,
          state: 'ready',
          bytes: size,
          device: bytesOnGpu > 0 ? 'gpu' : 'cpu',
          dtype: details?.quantization_level ?? 'auto',
          usedAt: this.ready.get(model)?.usedAt ?? now,
        };
        return [model, entry];
      }),
    );
  }

  private async fetchModels(path: string): Promise<ServerModel[]> {
    const signal = AbortSignal.timeout(listTimeoutMs);
    const { models } = await this.connection.get<{ models: ServerModel[] }>(path, this.credential, signal);
    return models;
  }
}

/** `name` and `name:latest` are the same model. */
const removeLatestTag = (name: string) => name.replace(/:latest$/, '');
