/** `GET /v1/tasks`: the tasks of a workspace, their attempts and their outputs. */
import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common';
import {
  outputQuery,
  taskListQuery,
  toPage,
  type Page,
  type TaskAttempt,
  type TaskListQuery,
  type TaskObject,
  type TaskSummary,
} from '@millrace/contracts';
import type { FastifyReply } from 'fastify';
import { TaskStore } from '#database';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { FIND_TASK_OUTPUT, type FindTaskOutput } from './find-task-output.ts';
import { READ_TASK, type ReadTask } from './read-task.ts';
import { toTaskAttempt, toTaskSummary } from './task-object.ts';

@Controller('v1/tasks')
export class ReadTasksController {
  constructor(
    @Inject(TaskStore) private readonly tasks: TaskStore,
    @Inject(READ_TASK) private readonly readTask: ReadTask,
    @Inject(FIND_TASK_OUTPUT) private readonly findOutput: FindTaskOutput,
  ) {}

  @Requires('tasks:read')
  @Get()
  async list(
    @CurrentCaller() { workspaceId }: Caller,
    @Query({ schema: taskListQuery }) query: TaskListQuery,
  ): Promise<Page<TaskSummary>> {
    const rows = await this.tasks.list(workspaceId, query);
    return toPage(rows.map(toTaskSummary), query.limit);
  }

  @Requires('tasks:read')
  @Get(':id')
  async get(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<TaskObject> {
    return (await this.readTask(workspaceId, id)).task;
  }

  /** Oldest first. */
  @Requires('tasks:read')
  @Get(':id/attempts')
  async listAttempts(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<{ object: 'list'; data: TaskAttempt[] }> {
    const rows = await this.tasks.listAttempts(workspaceId, id);
    return { object: 'list', data: rows.map(toTaskAttempt) };
  }

  /** Redirects to a signed URL of the media, else of the JSON. A small JSON output is sent as it is. */
  @Requires('tasks:read')
  @Get(':id/output')
  async getOutput(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('task')) id: string,
    @Query({ schema: outputQuery }) { index }: { index: number },
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const output = await this.findOutput(workspaceId, id, index);
    if ('url' in output) await reply.redirect(output.url, 302);
    else await reply.type('application/json; charset=utf-8').send(output.json);
  }
}
