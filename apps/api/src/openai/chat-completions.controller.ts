/** `/v1/chat/completions`, as OpenAI's clients call it, whole or as it comes: a task that its caller waits for. */
import { Body, Controller, Headers, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AppConfig } from '#config';
import type { Caller } from '#database';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { CurrentCaller } from '../access/access.guard.ts';
import { parseIdempotencyKey } from '../batches/create-batch.ts';
import { BUS, CONFIG, OBJECTS } from '../infrastructure/tokens.ts';
import { SUBMIT_TASK, type SubmitTask } from '../tasks/submit-task.ts';
import { extendSocketTimeout, sendTaskAnswer } from '../tasks/send-task-answer.ts';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { streamChat } from './stream-chat.ts';

@Controller('v1/chat/completions')
export class ChatCompletionsController {
  constructor(
    @Inject(SUBMIT_TASK) private readonly submit: SubmitTask,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(OBJECTS) private readonly objects: ObjectStore,
    @Inject(BUS) private readonly bus: Bus,
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
    const { bus, objects } = this;
    const timeoutSeconds = this.config.DIRECT_WAIT_SECONDS;
    const idempotency = parseIdempotencyKey(key, body, 'POST /v1/chat/completions');
    const wanted = { kind: 'chat-completion', body };
    const clientSignal = createResponseAbortSignal(reply);
    extendSocketTimeout(request, timeoutSeconds * 1_000);
    const submit = (beforeQueued?: (taskId: string) => Promise<void>) =>
      this.submit(caller, wanted, idempotency, beforeQueued);
    if ((body as { stream?: unknown } | null)?.stream === true) {
      return streamChat(body as Parameters<typeof streamChat>[0], submit, reply, {
        bus,
        objects,
        timeoutSeconds,
        clientSignal,
      });
    }
    const { taskId, waiter } = await submit();
    void reply.header('x-millrace-task-id', taskId);
    const end = await waiter.wait(timeoutSeconds * 1_000, clientSignal);
    if (!clientSignal.aborted) await sendTaskAnswer(reply, end, { taskId, objects });
  }
}
