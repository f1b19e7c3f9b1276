/** `/v1/chat/completions`, as OpenAI's clients call it, whole or as it comes: a task that its caller waits for. */
import { Body, Controller, Headers, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { AppConfig } from '#config';
import type { Caller } from '#database';
import type { Bus } from '#realtime';
import type { ObjectStore } from '#storage';
import { CallerOf } from '../access/api-key.guard.ts';
import { idempotencyOf } from '../batches/create-batch.ts';
import { BUS, CONFIG, OBJECT_STORE } from '../tokens.ts';
import { SUBMIT_TASK, type SubmitTask } from '../tasks/submit-task.ts';
import { letWait, sendAnswer } from '../tasks/wait.ts';
import { leftDuring } from '../wire/aborted.ts';
import { streamChat } from './stream-chat.ts';

@Controller('v1/chat/completions')
export class ChatController {
  constructor(
    @Inject(SUBMIT_TASK) private readonly submit: SubmitTask,
    @Inject(CONFIG) private readonly config: AppConfig,
    @Inject(OBJECT_STORE) private readonly store: ObjectStore,
    @Inject(BUS) private readonly bus: Bus,
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
    const { bus, store } = this;
    const waitS = this.config.DIRECT_WAIT_SECONDS;
    const idempotency = idempotencyOf(key, body, 'POST /v1/chat/completions');
    const wanted = { kind: 'chat-completion', body };
    const left = leftDuring(reply);
    letWait(request, waitS * 1_000);
    const submit = (beforeQueued?: (taskId: string) => Promise<void>) =>
      this.submit(caller, wanted, idempotency, beforeQueued);
    if ((body as { stream?: unknown } | null)?.stream === true) {
      return streamChat(body as Parameters<typeof streamChat>[0], submit, reply, { bus, store, waitS, left });
    }
    const { taskId, waiting } = await submit();
    void reply.header('x-millrace-task-id', taskId);
    const end = await waiting.within(waitS * 1_000, left);
    if (!left.aborted) await sendAnswer(reply, end, { taskId, store });
  }
}
