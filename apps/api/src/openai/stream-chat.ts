/**
 * A chat as it comes, in OpenAI's events: the task's deltas off the bus, in order. What the bus lost is made good from
 * the stored answer, so that what a client puts together is always the whole of it.
 */
import type { FastifyReply } from 'fastify';
import type { EndedTask } from '#database';
import type { Delta } from '#providers';
import type { Bus, StreamItem } from '#realtime';
import type { ObjectStore } from '#storage';
import { toTaskFailure } from '../tasks/send-task-answer.ts';
import type { SubmittedTask } from '../tasks/submit-task.ts';
import { toWireError } from '../http/error.filter.ts';

interface ChatRequest {
  readonly model: string;
  readonly stream_options?: { readonly include_usage?: boolean } | null;
}

interface StreamChatDeps {
  readonly bus: Pick<Bus, 'subscribeStream'>;
  readonly objects: ObjectStore;
  readonly timeoutSeconds: number;
  readonly clientSignal: AbortSignal;
}

interface Completion {
  readonly choices: readonly {
    readonly index: number;
    readonly message: { readonly content: string | null; readonly tool_calls?: readonly object[] };
    readonly finish_reason: string | null;
  }[];
  readonly usage: object;
}

/** Proxies give up on a connection on which nothing moves. */
const keepAliveMs = 15_000;

/** @param submit its failures are answered before the stream begins. */
export async function streamChat(
  request: ChatRequest,
  submit: (beforeQueued: (taskId: string) => Promise<void>) => Promise<SubmittedTask>,
  reply: FastifyReply,
  deps: StreamChatDeps,
): Promise<void> {
  const { bus, objects, timeoutSeconds, clientSignal } = deps;
  const items: StreamItem[] = [];
  let take = (item: StreamItem): void => void items.push(item);
  let stop: (() => Promise<void>) | undefined;
  try {
    // The worker may speak as soon as the task is queued: the ear must be there before.
    const { taskId, waiter } = await submit(async (id) => {
      stop = await bus.subscribeStream(id, (item) => take(item));
    });
    const told = new ChatCompletionChunks(request, taskId);
    reply.raw.writeHead(200, {
      ...(reply.getHeaders() as Record<string, string>),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache',
      'x-accel-buffering': 'no',
      'x-millrace-task-id': taskId,
    });
    reply.hijack();
    reply.raw.write(told.begin());
    take = (item) => void reply.raw.write(told.delta(item));
    for (const item of items) take(item);
    const beat = setInterval(() => reply.raw.write(':\n\n'), keepAliveMs);
    const end = await waiter.wait(timeoutSeconds * 1_000, clientSignal).finally(() => clearInterval(beat));
    take = () => undefined;
    if (!clientSignal.aborted) reply.raw.write(await told.end(end, objects));
    reply.raw.end();
  } finally {
    await stop?.();
  }
}

class ChatCompletionChunks {
  private readonly created = Math.floor(Date.now() / 1_000);
  /** Text told of each choice; a gap ends what can be told before the end. */
  private readonly texts = new Map<number, string>();
  private readonly finished = new Set<number>();
  private attempt = 0;
  private isWhole = true;

  constructor(
    private readonly request: ChatRequest,
    private readonly taskId: string,
  ) {}

  begin(): string {
    return this.chunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }]);
  }

  delta(item: StreamItem): string {
    if (item.attempt > this.attempt) {
      // What another attempt says can't be put behind what was told; where nothing was, it is as the first.
      if (this.attempt > 0 && this.texts.size > 0) this.isWhole = false;
      this.attempt = item.attempt;
    }
    if (item.kind === 'gap' || item.kind === 'resync') this.isWhole = false;
    if (item.kind !== 'delta' || !this.isWhole) return '';
    const { index = 0, text, reasoning, toolCalls, finishReason = null } = item.delta as Delta;
    if (text) this.texts.set(index, (this.texts.get(index) ?? '') + text);
    if (finishReason !== null) this.finished.add(index);
    const delta = {
      ...(text !== undefined && { content: text }),
      ...(reasoning !== undefined && { reasoning_content: reasoning }),
      ...(toolCalls && { tool_calls: toolCalls }),
    };
    return this.chunk([{ index, delta, finish_reason: finishReason }]);
  }

  /** What was not told yet, or what became of it. */
  async end(end: EndedTask | null, objects: ObjectStore): Promise<string> {
    if (!end)
      return this.failed(
        `No answer in time. It runs on: GET /v1/tasks/${this.taskId}.`,
        'task_still_running',
      );
    if (end.status !== 'succeeded') {
      const error = toWireError(toTaskFailure(end), 500);
      return `data: ${JSON.stringify({ error })}\n\n`;
    }
    const json = end.output ?? (await objects.read(end.outputKey!)).toString();
    const { choices, usage } = JSON.parse(json) as Completion;
    let text = '';
    for (const { index, message, finish_reason: finishReason } of choices) {
      const told = this.texts.get(index) ?? '';
      const whole = message.content ?? '';
      if (!whole.startsWith(told))
        return this.failed('The answer was begun anew. Send the request again.', 'stream_broken');
      const rest = whole.slice(told.length);
      const calls = told === '' && !this.finished.has(index) ? message.tool_calls : undefined;
      if (rest || calls) {
        const delta = {
          ...(rest && { content: rest }),
          ...(calls && { tool_calls: calls.map((call, at) => ({ index: at, ...call })) }),
        };
        text += this.chunk([{ index, delta, finish_reason: null }]);
      }
      if (!this.finished.has(index)) text += this.chunk([{ index, delta: {}, finish_reason: finishReason }]);
    }
    if (this.request.stream_options?.include_usage) text += this.chunk([], usage);
    return `${text}data: [DONE]\n\n`;
  }

  private failed(message: string, code: string): string {
    return `data: ${JSON.stringify({ error: { message, type: 'server_error', param: null, code } })}\n\n`;
  }

  private chunk(choices: readonly object[], usage: object | null = null): string {
    const { request, taskId, created } = this;
    const wantsUsage = request.stream_options?.include_usage === true;
    const body = {
      id: `chatcmpl-${taskId.slice(taskId.indexOf('_') + 1)}`,
      object: 'chat.completion.chunk',
      created,
      model: request.model,
      choices,
      ...(wantsUsage && { usage }),
    };
    return `data: ${JSON.stringify(body)}\n\n`;
  }
}
