/** `/v1/videos`, as OpenAI's clients call it: each video is a task, made, looked at, fetched and removed. */
import {
  Body,
  Controller,
  Delete,
  Get,
  Headers,
  HttpCode,
  Inject,
  Param,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import {
  toPage,
  videoContentQuery,
  videoListQuery,
  type VideoContentQuery,
  type VideoListQuery,
} from '#contracts';
import { TaskStore, type Caller, type TaskRow } from '#database';
import { Conflict, NotFound } from '#domain';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { CallerOf } from '../access/api-key.guard.ts';
import { idempotencyOf } from '../batches/create-batch.ts';
import { SUBMIT_TASK, type SubmitTask } from '../tasks/submit-task.ts';
import { BUS, OBJECT_STORE } from '../tokens.ts';
import { knownId } from '../wire/known-id.pipe.ts';
import { bodyOf } from './video-request.ts';
import { toVideoObject } from './video-object.ts';

const kinds = ['text-to-video', 'image-to-video'];

@Controller('v1/videos')
export class VideosController {
  constructor(
    @Inject(TaskStore) private readonly tasks: TaskStore,
    @Inject(SUBMIT_TASK) private readonly submit: SubmitTask,
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    @Inject(BUS) private readonly bus: Bus,
  ) {}

  /** JSON, or a form with the picture to begin with. */
  @Post()
  @HttpCode(200)
  async create(
    @CallerOf() caller: Caller,
    @Body() json: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key?: string,
  ): Promise<object> {
    const body = await bodyOf(request, json);
    const kind = 'image' in body ? 'image-to-video' : 'text-to-video';
    const idempotency = idempotencyOf(key, body, 'POST /v1/videos');
    const { taskId, waiting } = await this.submit(caller, { kind, body }, idempotency);
    waiting.forget();
    void reply.header('x-millrace-task-id', taskId);
    return toVideoObject(await this.tasks.get(caller.workspaceId, taskId));
  }

  @Get()
  async list(
    @CallerOf() caller: Caller,
    @Query({ schema: videoListQuery }) query: VideoListQuery,
  ): Promise<object> {
    const rows = await this.tasks.listVideos(caller.workspaceId, query, kinds);
    return toPage(rows.map(toVideoObject), query.limit);
  }

  @Get(':id')
  async get(@CallerOf() caller: Caller, @Param('id', knownId('task')) id: string): Promise<object> {
    return toVideoObject(await this.video(caller, id));
  }

  @Get(':id/content')
  async content(
    @CallerOf() caller: Caller,
    @Param('id', knownId('task')) id: string,
    @Query({ schema: videoContentQuery }) { variant }: VideoContentQuery,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { status, media } = await this.video(caller, id);
    if (status !== 'succeeded') throw new Conflict(`This video is ${status}.`, { code: 'video_not_ready' });
    const kept = media?.find(({ type }) => type.startsWith(variant === 'video' ? 'video/' : 'image/'));
    if (!kept) throw new NotFound(`This video has no ${variant}.`, { code: 'variant_not_found' });
    const { stream } = await this.store.get(kept.key);
    await reply.type(kept.type).header('content-length', kept.bytes).send(stream);
  }

  /** Ours: OpenAI's clients delete instead. */
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(@CallerOf() caller: Caller, @Param('id', knownId('task')) id: string): Promise<object> {
    await this.video(caller, id);
    return toVideoObject(await this.end(caller, id));
  }

  /** One that is still made is cancelled first. */
  @Delete(':id')
  async delete(@CallerOf() caller: Caller, @Param('id', knownId('task')) id: string): Promise<object> {
    const { status } = await this.video(caller, id);
    if (['scheduled', 'queued', 'running'].includes(status)) await this.end(caller, id);
    await this.tasks.delete(caller.workspaceId, id);
    return { id, object: 'video.deleted', deleted: true };
  }

  private async end({ workspaceId }: Caller, id: string): Promise<TaskRow> {
    const task = await this.tasks.cancel(workspaceId, id);
    void this.bus.announce('task.cancel', { taskId: id });
    void this.bus.announce('task.ended', { taskId: id });
    void this.bus.announce('facts.written', {});
    return task;
  }

  private async video({ workspaceId }: Caller, id: string): Promise<TaskRow> {
    const task = await this.tasks.get(workspaceId, id);
    if (kinds.includes(task.kind)) return task;
    throw new NotFound('No such video.', { code: 'video_not_found' });
  }
}
