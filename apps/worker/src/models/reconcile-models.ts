/**
 * Loads and unloads the models of this worker's providers until they match the desired models, when the worker starts
 * and whenever the desired models change.
 */
import type { HostedModelState } from '@millrace/contracts';
import type { DesiredModelStore } from '#database';
import type { Provider } from '#providers';
import type { Logger } from '#telemetry';

export interface ModelReconcilerOptions {
  readonly providers: readonly Provider[];
  readonly pools: readonly string[];
  readonly desiredModels: Pick<DesiredModelStore, 'list'>;
  readonly log: Logger;
}

export class ModelReconciler {
  private readonly hosts: Provider[];
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly options: ModelReconcilerOptions) {
    const { providers, pools } = options;
    this.hosts = providers.filter(({ models, pool }) => models && pools.includes(pool));
  }

  /** Runs after the reconciliation before it has read the desired models. Never rejects. */
  reconcile(): Promise<void> {
    this.last = this.last
      .then(() => this.reconcileOnce())
      .catch((error: unknown) => {
        this.options.log.warn({ err: error }, 'could not read the desired models');
      });
    return this.last;
  }

  list(): HostedModelState[] {
    return this.hosts.flatMap(({ id, models }) =>
      models!.list().map(({ model, usedAt, ...state }) => ({
        ...state,
        model: `${id}/${model}`,
        used_at: Math.floor(usedAt.getTime() / 1_000),
      })),
    );
  }

  private async reconcileOnce(): Promise<void> {
    if (this.hosts.length === 0) return;
    for (const { model: name, isDesired, changedAt } of await this.options.desiredModels.list()) {
      const { id, models } = this.hosts.find((host) => name.startsWith(`${host.id}/`)) ?? {};
      if (!models) continue;
      const model = name.slice(id!.length + 1);
      const hosted = models.list().find((one) => one.model === model);
      if (isDesired && (!hosted || hosted.state === 'failed')) {
        void this.logResult('load', name, models.load(model));
      }
      // Keep a model that was used after it was marked as not desired.
      const isUnused = hosted && hosted.usedAt < changedAt;
      if (!isDesired && isUnused) void this.logResult('unload', name, models.unload(model));
    }
  }

  /** Loading may take minutes, so nothing waits for it. `list` shows why a load failed. */
  private async logResult(action: 'load' | 'unload', model: string, running: Promise<void>): Promise<void> {
    const { log } = this.options;
    try {
      await running;
      log.info({ model }, `${action}ed a model`);
    } catch (error) {
      log.warn({ err: error, model }, `could not ${action} a model`);
    }
  }
}
