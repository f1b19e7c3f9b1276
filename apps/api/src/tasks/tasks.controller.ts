/** `POST /v1/tasks` and the actions on a task: retry and cancel. */
import { Body, Controller, Headers, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import {
  createTaskBody,
  retryTaskBody,
  type CreateTaskBody,
  type RetryTaskBody,
  type TaskObject,
} from '@millrace/contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Caller } from '../access/caller.ts';
import { CurrentCaller, Requires } from '../access/decorators.ts';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { CANCEL_TASK, type CancelTask } from './cancel-task.ts';
import { CREATE_TASK, type CreateTask } from './create-task.ts';
import { parsePrefer } from './parse-prefer.ts';
import { READ_TASK, type ReadTask } from './read-task.ts';
import { RETRY_TASK, type RetryTask } from './retry-task.ts';
import { extendSocketTimeout } from './send-task-result.ts';
import type { SubmittedTask } from './submit-task.ts';
import { MAX_WAIT_SECONDS } from './tokens.ts';

@Controller('v1/tasks')
export class TasksController {
  constructor(
    @Inject(CREATE_TASK) private readonly createTask: CreateTask,
    @Inject(RETRY_TASK) private readonly retryTask: RetryTask,
    @Inject(CANCEL_TASK) private readonly cancelTask: CancelTask,
    @Inject(READ_TASK) private readonly readTask: ReadTask,
    @Inject(MAX_WAIT_SECONDS) private readonly maxWaitSeconds: number,
  ) {}

  /** 202 with the task. With `Prefer: wait`, 200 if it ends in time. */
  @Requires('tasks:write')
  @Post()
  async create(
    @CurrentCaller() caller: Caller,
    @Body({ schema: createTaskBody }) body: CreateTaskBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('prefer') prefer?: string,
    @Headers('idempotency-key') idempotencyKey?: string,
  ): Promise<TaskObject> {
    const { waitMs, appliedHeader } = parsePrefer(prefer, this.maxWaitSeconds);
    extendSocketTimeout(request, waitMs);
    const signal = createResponseAbortSignal(reply);
    const created = await this.createTask(caller, body, { idempotencyKey, waitMs, signal });
    if (appliedHeader) void reply.header('preference-applied', appliedHeader);
    void reply.status(created.hasEnded ? 200 : 202);
    return this.toResponse(caller, created, reply);
  }

  @Requires('tasks:write')
  @Post(':id/retry')
  @HttpCode(202)
  async retry(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Body({ schema: retryTaskBody }) body: RetryTaskBody,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') idempotencyKey?: string,
  ): Promise<TaskObject> {
    const submitted = await this.retryTask(caller, id, body, idempotencyKey);
    return this.toResponse(caller, submitted, reply);
  }

  @Requires('tasks:write')
  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() { workspaceId }: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<TaskObject> {
    await this.cancelTask(workspaceId, id);
    return (await this.readTask(workspaceId, id)).task;
  }

  private async toResponse(
    { workspaceId }: Caller,
    { taskId, webhookSecret }: Pick<SubmittedTask, 'taskId' | 'webhookSecret'>,
    reply: FastifyReply,
  ): Promise<TaskObject> {
    void reply.header('x-millrace-task-id', taskId).header('location', `/v1/tasks/${taskId}`);
    return (await this.readTask(workspaceId, taskId, webhookSecret)).task;
  }
}
