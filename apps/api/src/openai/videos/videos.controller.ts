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
} from '@millrace/contracts';
import { TaskStore, type Caller, type TaskRow } from '#database';
import { Conflict, NotFound } from '#domain';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { CurrentCaller } from '../../access/access.guard.ts';
import { parseIdempotencyKey } from '../../batches/create-batch.ts';
import { SUBMIT_TASK, type SubmitTask } from '../../tasks/submit-task.ts';
import { BUS, OBJECTS } from '../../infrastructure/tokens.ts';
import { resourceId } from '../../http/resource-id.pipe.ts';
import { parseVideoRequest } from './parse-video-request.ts';
import { toVideoObject } from './video-object.ts';

const videoKinds = ['text-to-video', 'image-to-video'];

@Controller('v1/videos')
export class VideosController {
  constructor(
    @Inject(TaskStore) private readonly tasks: TaskStore,
    @Inject(SUBMIT_TASK) private readonly submit: SubmitTask,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(BUS) private readonly bus: Bus,
  ) {}

  /** JSON, or a form with the picture to begin with. */
  @Post()
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() json: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key?: string,
  ): Promise<object> {
    const body = await parseVideoRequest(request, json);
    const kind = 'image' in body ? 'image-to-video' : 'text-to-video';
    const idempotency = parseIdempotencyKey(key, body, 'POST /v1/videos');
    const { taskId, waiter } = await this.submit(caller, { kind, body }, idempotency);
    waiter.cancel();
    void reply.header('x-millrace-task-id', taskId);
    return toVideoObject(await this.tasks.get(caller.workspaceId, taskId));
  }

  @Get()
  async list(
    @CurrentCaller() caller: Caller,
    @Query({ schema: videoListQuery }) query: VideoListQuery,
  ): Promise<object> {
    const rows = await this.tasks.listVideos(caller.workspaceId, query, videoKinds);
    return toPage(rows.map(toVideoObject), query.limit);
  }

  @Get(':id')
  async get(@CurrentCaller() caller: Caller, @Param('id', resourceId('task')) id: string): Promise<object> {
    return toVideoObject(await this.getVideoTask(caller, id));
  }

  @Get(':id/content')
  async content(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Query({ schema: videoContentQuery }) { variant }: VideoContentQuery,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { status, media } = await this.getVideoTask(caller, id);
    if (status !== 'succeeded') throw new Conflict(`This video is ${status}.`, { code: 'video_not_ready' });
    const kept = media?.find(({ type }) => type.startsWith(variant === 'video' ? 'video/' : 'image/'));
    if (!kept) throw new NotFound(`This video has no ${variant}.`, { code: 'variant_not_found' });
    const { stream } = await this.objects.get(kept.key);
    await reply.type(kept.type).header('content-length', kept.bytes).send(stream);
  }

  /** Ours: OpenAI's clients delete instead. */
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<object> {
    await this.getVideoTask(caller, id);
    return toVideoObject(await this.cancelTask(caller, id));
  }

  /** One that is still made is cancelled first. */
  @Delete(':id')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<object> {
    const { status } = await this.getVideoTask(caller, id);
    if (['scheduled', 'queued', 'running'].includes(status)) await this.cancelTask(caller, id);
    await this.tasks.delete(caller.workspaceId, id);
    return { id, object: 'video.deleted', deleted: true };
  }

  private async cancelTask({ workspaceId }: Caller, id: string): Promise<TaskRow> {
    const task = await this.tasks.cancel(workspaceId, id);
    void this.bus.publish('task.cancel', { taskId: id });
    void this.bus.publish('task.ended', { taskId: id });
    void this.bus.publish('facts.written', {});
    return task;
  }

  private async getVideoTask({ workspaceId }: Caller, id: string): Promise<TaskRow> {
    const task = await this.tasks.get(workspaceId, id);
    if (videoKinds.includes(task.kind)) return task;
    throw new NotFound('No such video.', { code: 'video_not_found' });
  }
}
