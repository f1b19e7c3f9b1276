/** `/v1/models`, as OpenAI's clients list them; and, beyond OpenAI, which workers have them loaded, load and unload. */
import { Body, Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { kinds, type KindId } from '#catalogue';
import { hostedModelBody, type ModelObject } from '@millrace/contracts';
import { DesiredModelStore, WorkerStore, type DesiredModelRow, type AliveWorker } from '#database';
import { InvalidInput, NotFound } from '#domain';
import type { Provider, Providers } from '#providers';
import type { Bus } from '#realtime';
import { Requires } from '../access/decorators.ts';
import { BUS, PROVIDERS } from '../infrastructure/tokens.ts';

const seenWithinS = 10;

@Controller('v1/models')
export class ModelsController {
  constructor(
    @Inject(WorkerStore) private readonly workers: WorkerStore,
    @Inject(DesiredModelStore) private readonly desiredModels: DesiredModelStore,
    @Inject(PROVIDERS) private readonly providers: Providers,
    @Inject(BUS) private readonly bus: Bus,
  ) {}

  /** Models that providers list, that workers have loaded and that are desired. Other names of a provider work too. */
  @Get()
  @Requires('models:read')
  async list(): Promise<{ object: 'list'; data: ModelObject[] }> {
    const [workers, desired, ...named] = await Promise.all([
      this.workers.listAlive(seenWithinS),
      this.desiredModels.list(),
      ...this.providers.list.map(listModelNames),
    ]);
    const held = workers.flatMap(({ models }) => models.map(({ model }) => model));
    const names = new Set([...named.flat(), ...held, ...desired.map(({ model }) => model)]);
    return {
      object: 'list',
      data: [...names].sort().map((name) => toModel(name, this.findLocalProvider(name), workers, desired)),
    };
  }

  /** A model's name contains slashes, sent as they are or as %2F. @throws NotFound */
  @Get('*')
  @Requires('models:read')
  async get(@Param('*') name: string): Promise<ModelObject> {
    if (!this.isServed(name)) {
      throw new NotFound('No provider serves this model. GET /v1/models lists what is known.', {
        code: 'model_not_found',
        param: 'model',
      });
    }
    const [workers, desired] = await Promise.all([this.workers.listAlive(seenWithinS), this.desiredModels.list()]);
    return toModel(name, this.findLocalProvider(name), workers, desired);
  }

  /** Loads it on every worker of its pool, now and whenever one starts. */
  @Post('load')
  @Requires('models:manage')
  @HttpCode(202)
  load(@Body({ schema: hostedModelBody }) { model }: { model: string }) {
    return this.setDesired(model, true);
  }

  /** Frees its memory. A request that names it loads it again. */
  @Post('unload')
  @Requires('models:manage')
  @HttpCode(202)
  unload(@Body({ schema: hostedModelBody }) { model }: { model: string }) {
    return this.setDesired(model, false);
  }

  private async setDesired(model: string, isWanted: boolean): Promise<ModelObject> {
    if (!this.isServed(model) || !this.findLocalProvider(model)) {
      throw new InvalidInput('No worker holds this model in its memory: it needs no loading.', {
        code: 'model_not_held',
        param: 'model',
      });
    }
    await this.desiredModels.set(model, isWanted);
    void this.bus.publish('desired_models.changed', {});
    return this.get(model);
  }

  /** Whether some kind of task can be run with it. */
  private isServed(model: string): boolean {
    return (Object.keys(kinds) as KindId[]).some((kind) => {
      try {
        return Boolean(this.providers.route(model, kind, { workspaceId: null }));
      } catch {
        return false;
      }
    });
  }

  /** Its provider, where that keeps models in memory. */
  private findLocalProvider(model: string): Provider | undefined {
    return this.providers.list.find(({ id, models }) => models && model.startsWith(`${id}/`));
  }
}

async function listModelNames(provider: Provider): Promise<string[]> {
  return ((await provider.listModels?.()) ?? []).map((model) => `${provider.id}/${model}`);
}

function toModel(
  id: string,
  host: Provider | undefined,
  seen: readonly AliveWorker[],
  desired: readonly DesiredModelRow[],
): ModelObject {
  const workers = seen.flatMap((worker) =>
    worker.models
      .filter(({ model }) => model === id)
      .map(({ model: _, ...held }) => ({ ...held, worker: worker.id })),
  );
  const is = (state: 'ready' | 'loading' | 'failed') => workers.some((held) => held.state === state) && state;
  const desiredModel = desired.find(({ model }) => model === id);
  return {
    id,
    object: 'model',
    created: 0,
    owned_by: id.slice(0, Math.max(0, id.indexOf('/'))),
    millrace: {
      status: is('ready') || is('loading') || is('failed') || (host ? 'unloaded' : 'available'),
      is_desired: desiredModel?.isDesired ?? false,
      workers,
    },
  };
}
