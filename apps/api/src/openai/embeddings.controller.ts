/** `/v1/embeddings`, as OpenAI's clients call it: a task that its caller waits for. */
import { Body, Controller, Headers, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AppConfig } from '#config';
import type { Caller } from '#database';
import type { ObjectStore } from '#storage';
import { taskAnswer } from '#telemetry';
import { CurrentCaller } from '../access/access.guard.ts';
import { parseIdempotencyKey } from '../batches/create-batch.ts';
import { CONFIG, OBJECTS } from '../infrastructure/tokens.ts';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { SUBMIT_TASK, type SubmitTask } from '../tasks/submit-task.ts';
import { extendSocketTimeout, sendTaskAnswer } from '../tasks/send-task-answer.ts';

@Controller('v1/embeddings')
export class EmbeddingsController {
  constructor(
    @Inject(SUBMIT_TASK) private readonly submit: SubmitTask,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
  ) {}

  @Post()
  @HttpCode(200)
  async create(
    @CurrentCaller() caller: Caller,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
    @Headers('idempotency-key') key?: string,
  ): Promise<void> {
    const began = performance.now();
    const idempotency = parseIdempotencyKey(key, body, 'POST /v1/embeddings');
    const { taskId, kind, waiter } = await this.submit(caller, { kind: 'embeddings', body }, idempotency);
    void reply.header('x-millrace-task-id', taskId);
    const waitMs = this.config.DIRECT_WAIT_SECONDS * 1_000;
    extendSocketTimeout(request, waitMs);
    const left = createResponseAbortSignal(reply);
    const end = await waiter.wait(waitMs, left);
    taskAnswer.observe({ kind, outcome: end?.status ?? 'unanswered' }, (performance.now() - began) / 1_000);
    if (!left.aborted) await sendTaskAnswer(reply, end, { taskId, objects: this.objects });
  }
}
