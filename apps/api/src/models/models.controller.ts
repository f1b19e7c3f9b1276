/** `/v1/models`, as OpenAI's clients list them; and, beyond OpenAI, which workers have them loaded, load and unload. */
import { Body, Controller, Get, HttpCode, Inject, Param, Post } from '@nestjs/common';
import { hostedModelBody, type ModelObject } from '@millrace/contracts';
import { Requires } from '../access/decorators.ts';
import { LIST_MODELS, type ListModels } from './list-models.ts';
import { READ_MODEL, type ReadModel } from './read-model.ts';
import { SET_DESIRED_MODEL, type SetDesiredModel } from './set-desired-model.ts';

@Controller('v1/models')
export class ModelsController {
  constructor(
    @Inject(LIST_MODELS) private readonly listModels: ListModels,
    @Inject(READ_MODEL) private readonly readModel: ReadModel,
    @Inject(SET_DESIRED_MODEL) private readonly setDesiredModel: SetDesiredModel,
  ) {}

  @Get()
  @Requires('models:read')
  async list(): Promise<{ object: 'list'; data: ModelObject[] }> {
    return { object: 'list', data: await this.listModels() };
  }

  /** A model's name contains slashes, sent as they are or as %2F. */
  @Get('*')
  @Requires('models:read')
  get(@Param('*') name: string): Promise<ModelObject> {
    return this.readModel(name);
  }

  /** Loads it on every worker of its pool, now and whenever one starts. */
  @Post('load')
  @Requires('models:manage')
  @HttpCode(202)
  load(@Body({ schema: hostedModelBody }) { model }: { model: string }): Promise<ModelObject> {
    return this.setDesiredModel(model, true);
  }

  /** Frees its memory. A request that names it loads it again. */
  @Post('unload')
  @Requires('models:manage')
  @HttpCode(202)
  unload(@Body({ schema: hostedModelBody }) { model }: { model: string }): Promise<ModelObject> {
    return this.setDesiredModel(model, false);
  }
}
