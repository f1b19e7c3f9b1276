/**
 * The models that this worker's providers hold in memory: what of the deployment's wishes concerns them is loaded
 * when it starts and whenever the wishes change, and unloaded when it is no longer wanted.
 */
import type { HeldModelState } from '@millrace/contracts';
import type { ModelWishStore } from '#database';
import type { Provider } from '#providers';
import type { Logger } from '#telemetry';

export interface ModelReconcilerOptions {
  readonly providers: readonly Provider[];
  readonly pools: readonly string[];
  readonly desiredModels: Pick<ModelWishStore, 'list'>;
  readonly log: Logger;
}

export class ModelReconciler {
  private readonly hosts: Provider[];
  private last: Promise<void> = Promise.resolve();

  constructor(private readonly options: ModelReconcilerOptions) {
    const { providers, pools } = options;
    this.hosts = providers.filter(({ models, pool }) => models && pools.includes(pool));
  }

  /** Makes what is held what is wanted; one look at the wishes after the other. Never rejects. */
  reconcile(): Promise<void> {
    this.last = this.last
      .then(() => this.look())
      .catch((error: unknown) => {
        this.options.log.warn({ err: error }, 'could not read which models are wanted');
      });
    return this.last;
  }

  list(): HeldModelState[] {
    return this.hosts.flatMap(({ id, models }) =>
      models!.list().map(({ model, usedAt, ...held }) => ({
        ...held,
        model: `${id}/${model}`,
        used_at: Math.floor(usedAt.getTime() / 1_000),
      })),
    );
  }

  private async look(): Promise<void> {
    if (this.hosts.length === 0) return;
    for (const { model: name, isDesired, changedAt } of await this.options.desiredModels.list()) {
      const { id, models } = this.hosts.find((host) => name.startsWith(`${host.id}/`)) ?? {};
      if (!models) continue;
      const model = name.slice(id!.length + 1);
      const held = models.list().find((one) => one.model === model);
      // One that was used since is wanted by somebody, whatever was said before.
      const isStale = held && !isDesired && held.usedAt < changedAt;
      if (isDesired && (!held || held.state === 'failed')) void this.move('load', name, models.load(model));
      else if (isStale) void this.move('unload', name, models.unload(model));
    }
  }

  /** Loading may take minutes: nothing waits for it. What it failed of stands in `held`. */
  private async move(what: 'load' | 'unload', model: string, moving: Promise<void>): Promise<void> {
    const { log } = this.options;
    try {
      await moving;
      log.info({ model }, what === 'load' ? 'loaded a model that is wanted' : 'unloaded a model');
    } catch (error) {
      log.warn({ err: error, model }, `could not ${what} a model`);
    }
  }
}
