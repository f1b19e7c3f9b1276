/** `/v1/embeddings`, as OpenAI's clients call it: a task that its caller waits for. */
import { Body, Controller, Headers, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AppConfig } from '#config';
import type { Caller } from '#database';
import type { ObjectStore } from '#storage';
import { taskAnswer } from '#telemetry';
import { CallerOf } from '../access/api-key.guard.ts';
import { idempotencyOf } from '../batches/create-batch.ts';
import { CONFIG, OBJECT_STORE } from '../tokens.ts';
import { leftDuring } from '../wire/aborted.ts';
import { SUBMIT_TASK, type SubmitTask } from './submit-task.ts';
import { letWait, sendAnswer } from './wait.ts';

@Controller('v1/embeddings')
export class EmbeddingsController {
  constructor(
    @Inject(SUBMIT_TASK) private readonly submit: SubmitTask,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
  ) {}

  @Post()
  @HttpCode(200)
  async create(
    @CallerOf() caller: Caller,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Headers('idempotency-key') key?: string,
  ): Promise<void> {
    const began = performance.now();
    const idempotency = idempotencyOf(key, body, 'POST /v1/embeddings');
    const { taskId, kind, waiting } = await this.submit(caller, { kind: 'embeddings', body }, idempotency);
    void reply.header('x-millrace-task-id', taskId);
    const waitMs = this.config.DIRECT_WAIT_SECONDS * 1_000;
    letWait(request, waitMs);
    const left = leftDuring(reply);
    const end = await waiting.within(waitMs, left);
    taskAnswer.observe({ kind, outcome: end?.status ?? 'unanswered' }, (performance.now() - began) / 1_000);
    if (!left.aborted) await sendAnswer(reply, end, { taskId, store: this.store });
  }
}
