/** `/v1/models`, as OpenAI's clients list them, and Millrace's own: which are in memory, and asking for them to be. */
import { Body, Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { kinds, type KindId } from '#catalogue';
import { modelBody, type ModelObject } from '@millrace/contracts';
import { ModelWishStore, WorkerStore, type Caller, type ModelWishRow, type SeenWorker } from '#database';
import { Forbidden, InvalidInput, NotFound } from '#domain';
import type { Provider, Providers } from '#providers';
import type { Bus } from '#realtime';
import { CurrentCaller } from '../access/access.guard.ts';
import { BUS, PROVIDERS } from '../infrastructure/tokens.ts';

const seenWithinS = 10;

@Controller('v1/models')
export class ModelsController {
  constructor(
    @Inject(WorkerStore) private readonly workers: WorkerStore,
    @Inject(ModelWishStore) private readonly desiredModels: ModelWishStore,
    @Inject(PROVIDERS) private readonly providers: Providers,
    @Inject(BUS) private readonly bus: Bus,
  ) {}

  /** What providers can name, what workers hold and what was asked for; any other name of a provider's works too. */
  @Get()
  async list(): Promise<{ object: 'list'; data: ModelObject[] }> {
    const [workers, wishes, ...named] = await Promise.all([
      this.workers.listAlive(seenWithinS),
      this.desiredModels.list(),
      ...this.providers.list.map(listModelNames),
    ]);
    const held = workers.flatMap(({ models }) => models.map(({ model }) => model));
    const names = new Set([...named.flat(), ...held, ...wishes.map(({ model }) => model)]);
    return {
      object: 'list',
      data: [...names].sort().map((name) => toModel(name, this.findLocalProvider(name), workers, wishes)),
    };
  }

  /** A model's name holds slashes, sent as they are or as %2F. @throws NotFound */
  @Get('*')
  async get(@Param('*') name: string): Promise<ModelObject> {
    if (!this.isServed(name)) {
      throw new NotFound('No provider serves this model. GET /v1/models lists what is known.', {
        code: 'model_not_found',
        param: 'model',
      });
    }
    const [workers, wishes] = await Promise.all([this.workers.listAlive(seenWithinS), this.desiredModels.list()]);
    return toModel(name, this.findLocalProvider(name), workers, wishes);
  }

  /** Loads it on every worker of its pool, now and whenever one starts. */
  @Post('load')
  @HttpCode(202)
  load(@CurrentCaller() caller: Caller, @Body({ schema: modelBody }) { model }: { model: string }) {
    return this.setDesired(caller, model, true);
  }

  /** Frees its memory. A request that names it loads it again. */
  @Post('unload')
  @HttpCode(202)
  unload(@CurrentCaller() caller: Caller, @Body({ schema: modelBody }) { model }: { model: string }) {
    return this.setDesired(caller, model, false);
  }

  private async setDesired({ operatesInstance }: Caller, model: string, isWanted: boolean): Promise<ModelObject> {
    if (!operatesInstance) {
      throw new Forbidden(
        'Workers are shared: only the workspace that runs this deployment loads and unloads models.',
        {
          code: 'operators_only',
        },
      );
    }
    if (!this.isServed(model) || !this.findLocalProvider(model)) {
      throw new InvalidInput('No worker holds this model in its memory: it needs no loading.', {
        code: 'model_not_held',
        param: 'model',
      });
    }
    await this.desiredModels.set(model, isWanted);
    void this.bus.publish('models.wished', {});
    return this.get(model);
  }

  /** Whether some kind of task can be run with it. */
  private isServed(model: string): boolean {
    return (Object.keys(kinds) as KindId[]).some((kind) => {
      try {
        return Boolean(this.providers.route(model, kind));
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
  seen: readonly SeenWorker[],
  wishes: readonly ModelWishRow[],
): ModelObject {
  const workers = seen.flatMap((worker) =>
    worker.models
      .filter(({ model }) => model === id)
      .map(({ model: _, ...held }) => ({ ...held, worker: worker.id })),
  );
  const is = (state: 'ready' | 'loading' | 'failed') => workers.some((held) => held.state === state) && state;
  const wish = wishes.find(({ model }) => model === id);
  return {
    id,
    object: 'model',
    created: 0,
    owned_by: id.slice(0, Math.max(0, id.indexOf('/'))),
    millrace: {
      status: is('ready') || is('loading') || is('failed') || (host ? 'unloaded' : 'available'),
      is_wanted: wish?.isDesired ?? false,
      workers,
    },
  };
}
