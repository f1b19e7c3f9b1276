/** `/v1/tasks`: a request of any kind, as a thing with an id that can be waited for, looked at, listed and cancelled. */
import {
  Body,
  Controller,
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
import { taskBody } from '#catalogue';
import type { AppConfig } from '#config';
import {
  createTaskBody,
  outputQuery,
  retryTaskBody,
  taskListQuery,
  toPage,
  type CreateTaskBody,
  type Page,
  type RetryTaskBody,
  type TaskAttempt,
  type TaskListQuery,
  type TaskObject,
  type TaskSummary,
} from '@millrace/contracts';
import { TaskStore, type Caller, type WebhookEndpointRow } from '#database';
import { Conflict, NotFound } from '#domain';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { CurrentCaller } from '../access/access.guard.ts';
import { parseIdempotencyKey } from '../batches/create-batch.ts';
import { BUS, CONFIG, OBJECTS, WEBHOOK_TOOLS } from '../infrastructure/tokens.ts';
import {
  buildSubjectWebhook,
  copySubjectWebhook,
  type WebhookTools,
} from '../webhooks/manage-webhook-endpoints.ts';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { resourceId } from '../http/resource-id.pipe.ts';
import { parsePrefer } from './parse-prefer.ts';
import { SUBMIT_TASK, type SubmitTask, type BuildTaskWebhook, type TaskRunOptions } from './submit-task.ts';
import {
  signedUrlLifetimeS,
  signMediaUrl,
  toTaskAttempt,
  toTaskObject,
  toTaskSummary,
} from './task-object.ts';
import { extendSocketTimeout } from './send-task-answer.ts';

@Controller('v1/tasks')
export class TasksController {
  constructor(
    @Inject(TaskStore) private readonly tasks: TaskStore,
    @Inject(SUBMIT_TASK) private readonly submit: SubmitTask,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(BUS) private readonly bus: Bus,
    @Inject(WEBHOOK_TOOLS) private readonly webhooks: WebhookTools,
  ) {}

  /** 202 with the task; with `Prefer: wait`, 200 once it has ended in time. */
  @Post()
  async create(
    @CurrentCaller() caller: Caller,
    @Body({ schema: createTaskBody }) body: CreateTaskBody,
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('prefer') prefer?: string,
    @Headers('idempotency-key') key?: string,
  ): Promise<TaskObject> {
    const { waitMs, appliedHeader } = parsePrefer(prefer, this.config.DIRECT_WAIT_SECONDS);
    const { kind, webhook } = body;
    const bound = webhook && ((id: string) => buildSubjectWebhook(id, webhook, this.webhooks));
    const life = buildRunOptions(body);
    const wanted = { kind, body: taskBody(body), under: 'input.', life, webhook: bound ?? null };
    const idempotency = parseIdempotencyKey(key, body, 'POST /v1/tasks');
    const { taskId, waiter, webhookSecret } = await this.submit(caller, wanted, idempotency);
    void reply.header('x-millrace-task-id', taskId).header('location', `/v1/tasks/${taskId}`);
    if (appliedHeader) void reply.header('preference-applied', appliedHeader);
    extendSocketTimeout(request, waitMs);
    const end = waitMs > 0 && (await waiter.wait(waitMs, createResponseAbortSignal(reply)));
    waiter.cancel();
    void reply.status(end ? 200 : 202);
    return this.readTask(caller, taskId, webhookSecret);
  }

  @Get()
  async list(
    @CurrentCaller() caller: Caller,
    @Query({ schema: taskListQuery }) page: TaskListQuery,
  ): Promise<Page<TaskSummary>> {
    const rows = await this.tasks.list(caller.workspaceId, page);
    return toPage(rows.map(toTaskSummary), page.limit);
  }

  @Get(':id')
  async get(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<TaskObject> {
    return this.readTask(caller, id);
  }

  /** The tries, oldest first: how long each was queued, upstream, and being stored. */
  @Get(':id/attempts')
  async attempts(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<{ object: 'list'; data: TaskAttempt[] }> {
    const rows = await this.tasks.listAttempts(caller.workspaceId, id);
    return { object: 'list', data: rows.map(toTaskAttempt) };
  }

  /** The output by signed URL: its media, else its JSON. `index` names one of several. */
  @Get(':id/output')
  async output(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Query({ schema: outputQuery }) { index }: { index: number },
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const task = await this.tasks.get(caller.workspaceId, id);
    if (task.status !== 'succeeded') {
      throw new Conflict(`This task is ${task.status}: it has no output.`, { code: 'no_output' });
    }
    const kept = task.media?.[index];
    if (index > 0 && !kept) throw new NotFound('The output has no such part.', { code: 'output_not_found' });
    if (kept) {
      await reply.redirect(await signMediaUrl(id, kept.key, index, this.objects), 302);
    } else if (task.outputKey) {
      const how = { method: 'GET', expiresInS: signedUrlLifetimeS, filename: `${id}.json` } as const;
      await reply.redirect(await this.objects.signedUrl(task.outputKey, how), 302);
    } else await reply.type('application/json; charset=utf-8').send(JSON.stringify(task.output));
  }

  /** One that has failed, expired or was cancelled, once more: as a new task, since an end is an end. */
  @Post(':id/retry')
  @HttpCode(202)
  async retry(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
    @Body({ schema: retryTaskBody }) retry: RetryTaskBody,
    @Res({ passthrough: true }) reply: FastifyReply,
    @Headers('idempotency-key') key?: string,
  ): Promise<TaskObject> {
    const { status, kind, input, inputKey, ...task } = await this.tasks.get(caller.workspaceId, id);
    if (!['failed', 'expired', 'canceled'].includes(status)) {
      throw new Conflict(
        `This task is ${status}. One that has failed, expired or was cancelled can be retried.`,
        {
          code: 'task_not_retryable',
        },
      );
    }
    const body: unknown = inputKey ? JSON.parse((await this.objects.read(inputKey)).toString()) : input;
    const { priority, timeoutMs, fallbackModels } = task;
    const life = { priority, timeoutMs, fallbackModels, retryOf: id };
    const webhook = this.buildRetryWebhook(retry, task.webhook);
    const idempotency = parseIdempotencyKey(key, { retry: id, ...retry }, 'POST /v1/tasks');
    const wanted = { kind, body, life, webhook };
    const { taskId, waiter, webhookSecret } = await this.submit(caller, wanted, idempotency);
    waiter.cancel();
    void reply.header('x-millrace-task-id', taskId).header('location', `/v1/tasks/${taskId}`);
    return this.readTask(caller, taskId, webhookSecret);
  }

  @Post(':id/cancel')
  @HttpCode(200)
  async cancel(
    @CurrentCaller() caller: Caller,
    @Param('id', resourceId('task')) id: string,
  ): Promise<TaskObject> {
    const task = await this.tasks.cancel(caller.workspaceId, id);
    void this.bus.publish('task.cancel', { taskId: id });
    void this.bus.publish('task.ended', { taskId: id });
    void this.bus.publish('facts.written', {});
    return toTaskObject(task, this.objects);
  }

  /** Its own; or the one of the task that it retries, unless it asks for none. */
  private buildRetryWebhook(body: RetryTaskBody, before: WebhookEndpointRow | null): BuildTaskWebhook | null {
    const { webhook } = body ?? {};
    if (webhook) return (id) => buildSubjectWebhook(id, webhook, this.webhooks);
    if (webhook === null || !before) return null;
    return async (id) => ({ endpoint: copySubjectWebhook(id, before, this.webhooks.sealer) });
  }

  private async readTask({ workspaceId }: Caller, id: string, webhookSecret?: string): Promise<TaskObject> {
    const task = await this.tasks.get(workspaceId, id);
    const place = task.status === 'queued' ? await this.tasks.findQueuePosition(id) : null;
    return toTaskObject(task, this.objects, place, webhookSecret);
  }
}

function buildRunOptions(body: CreateTaskBody): TaskRunOptions {
  const { priority, run_at, deadline, start_timeout, timeout, fallback_models } = body;
  return {
    priority,
    runAt: run_at ?? null,
    deadline: deadline ?? null,
    startTimeoutS: start_timeout ?? null,
    timeoutMs: timeout === undefined ? null : Math.round(timeout * 1_000),
    fallbackModels: fallback_models ?? null,
    retryOf: null,
  };
}
