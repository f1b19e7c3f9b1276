/** `/v1/videos` as OpenAI's clients call it: create, list, get, download, delete; `cancel` is ours. Each video is a task. */
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
import {
  toPage,
  videoContentQuery,
  videoListQuery,
  type Page,
  type VideoContentQuery,
  type VideoDeleted,
  type VideoListQuery,
  type VideoObject,
} from '@millrace/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { TaskStore, type TaskRow } from '#database';
import { Conflict, NotFound } from '#domain';
import { findEndpoint } from '#openai-endpoints';
import type { ObjectStorage } from '#storage';
import type { Caller } from '../../access/caller.ts';
import { CurrentCaller, Requires } from '../../access/decorators.ts';
import { parseIdempotencyKey } from '../../http/idempotency.ts';
import { resourceId } from '../../http/resource-id.pipe.ts';
import { OBJECTS } from '../../infrastructure/tokens.ts';
import { CANCEL_TASK, type CancelTask } from '../../tasks/cancel-task.ts';
import { sendMedia } from '../../tasks/send-task-result.ts';
import { SUBMIT_TASK, type SubmitTask } from '../../tasks/submit-task.ts';
import { parseRequest } from '../parse-request.ts';
import { toVideoObject } from './video-object.ts';

const endpoint = findEndpoint('/v1/videos')!;

@Controller('v1/videos')
export class VideosController {
  constructor(
    @Inject(TaskStore) private readonly tasks: TaskStore,
    @Inject(SUBMIT_TASK) private readonly submitTask: SubmitTask,
    @Inject(CANCEL_TASK) private readonly cancelTask: CancelTask,
    @Inject(OBJECTS) private readonly objects: ObjectStorage,
  ) {}

  /** JSON, or a form with the first frame as a file. */
  @Requires('tasks:write')
  @Post()
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() json: unknown,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') idempotencyKey?: string,
  ): Promise<VideoObject> {
    const { body, task } = await parseRequest(endpoint, request, json);
    const idempotency = parseIdempotencyKey(idempotencyKey, body, `POST ${endpoint.path}`);
    const { taskId, waiter } = await this.submitTask(caller, task, idempotency);
    waiter.cancel();
    void reply.header('x-millrace-task-id', taskId);
    return toVideoObject(await this.tasks.get(caller.workspaceId, taskId));
  }

  @Requires('tasks:read')
  @Get()
  async list(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: videoListQuery }) query: VideoListQuery,
  ): Promise<Page<VideoObject>> {
    const rows = await this.tasks.listVideos(workspaceId, query, endpoint.kinds);
    return toPage(rows.map(toVideoObject), query.limit);
  }

  @Requires('tasks:read')
  @Get(':id')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<VideoObject> {
    return toVideoObject(await this.getVideoTask(caller, id));
  }

  @Requires('tasks:read')
  @Get(':id/content')
  async download(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Query({ schema: videoContentQuery }) { variant }: VideoContentQuery,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const { status, media } = await this.getVideoTask(caller, id);
    if (status !== 'succeeded') {
      throw new Conflict(`This video is ${status}.`, { code: 'video_not_ready' });
    }
    const type = variant === 'video' ? 'video/' : 'image/';
    const stored = media?.find((each) => each.type.startsWith(type));
    if (!stored) throw new NotFound(`This video has no ${variant}.`, { code: 'variant_not_found' });
    await sendMedia(reply, stored, this.objects);
  }

  @Requires('tasks:write')
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<VideoObject> {
    await this.getVideoTask(caller, id);
    return toVideoObject(await this.cancelTask(caller.workspaceId, id));
  }

  /** A video that is not finished is cancelled first. */
  @Requires('tasks:write')
  @Delete(':id')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<VideoDeleted> {
    const { workspaceId } = caller;
    const { status } = await this.getVideoTask(caller, id);
    if (['scheduled', 'queued', 'running'].includes(status)) await this.cancelTask(workspaceId, id);
    await this.tasks.delete(workspaceId, id);
    return { id, object: 'video.deleted', deleted: true };
  }

  /** @throws NotFound, also for a task of another kind. */
  private async getVideoTask({ workspaceId }: Caller, id: string): Promise<TaskRow> {
    const task = await this.tasks.get(workspaceId, id);
    if (endpoint.kinds.some((kind) => kind === task.kind)) return task;
    throw new NotFound('No such video.', { code: 'video_not_found' });
  }
}
