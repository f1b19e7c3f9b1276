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
import { TaskStore } from '#database';
import type { ObjectStorage } from '#storage';
import type { Caller } from '../../access/caller.ts';
import { CurrentCaller, Requires } from '../../access/decorators.ts';
import { parseIdempotencyKey } from '../../http/idempotency.ts';
import { resourceId } from '../../http/resource-id.pipe.ts';
import { OBJECTS } from '../../infrastructure/tokens.ts';
import { sendMedia } from '../../tasks/send-task-result.ts';
import { SUBMIT_TASK, type SubmitTask } from '../../tasks/submit-task.ts';
import { parseRequest } from '../parse-request.ts';
import { END_VIDEO, type EndVideo } from './end-video.ts';
import { FIND_VIDEO, findVideoContent, videoEndpoint, type FindVideo } from './find-video.ts';
import { toVideoObject } from './video-object.ts';

@Controller('v1/videos')
export class VideosController {
  constructor(
    @Inject(TaskStore) private readonly tasks: TaskStore,
    @Inject(SUBMIT_TASK) private readonly submitTask: SubmitTask,
    @Inject(FIND_VIDEO) private readonly findVideo: FindVideo,
    @Inject(END_VIDEO) private readonly endVideo: EndVideo,
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
    const { body, task } = await parseRequest(videoEndpoint, request, json);
    const idempotency = parseIdempotencyKey(idempotencyKey, body, `POST ${videoEndpoint.path}`);
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
    const rows = await this.tasks.listVideos(workspaceId, query, videoEndpoint.kinds);
    return toPage(rows.map(toVideoObject), query.limit);
  }

  @Requires('tasks:read')
  @Get(':id')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<VideoObject> {
    return toVideoObject(await this.findVideo(caller.workspaceId, id));
  }

  @Requires('tasks:read')
  @Get(':id/content')
  async download(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Query({ schema: videoContentQuery }) { variant }: VideoContentQuery,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const task = await this.findVideo(caller.workspaceId, id);
    await sendMedia(request, reply, findVideoContent(task, variant), this.objects);
  }

  @Requires('tasks:write')
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<VideoObject> {
    return toVideoObject(await this.endVideo.cancel(caller.workspaceId, id));
  }

  /** A video that is not finished is cancelled first. */
  @Requires('tasks:write')
  @Delete(':id')
  async delete(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<VideoDeleted> {
    await this.endVideo.delete(caller.workspaceId, id);
    return { id, object: 'video.deleted', deleted: true };
  }
}
