/**
 * `/v1/chat/completions` with `stream: true`, as OpenAI's `chat.completion.chunk` events. Deltas that the bus dropped are
 * taken from the stored output at the end, so that a client always assembles the whole answer.
 */
import { nowInSeconds, type Fields } from './endpoint.ts';
import type {
  ResponseEvent,
  ResponseStream,
  StreamedItem,
  StreamError,
  TextDelta,
} from './response-stream.ts';

interface Completion {
  readonly choices: readonly Choice[];
  readonly usage: object;
}

interface Choice {
  readonly index: number;
  readonly message: { readonly content: string | null; readonly tool_calls?: readonly object[] };
  readonly finish_reason: string | null;
}

export class ChatStream implements ResponseStream {
  private readonly created = nowInSeconds();
  private readonly includesUsage: boolean;
  /** Text sent so far, by choice. */
  private readonly sentText = new Map<number, string>();
  private readonly finishedChoices = new Set<number>();
  private attempt = 0;
  /** False after a gap or a new attempt: no delta is sent any more, the rest follows at the end. */
  private isContiguous = true;

  constructor(
    private readonly request: Fields,
    private readonly taskId: string,
  ) {
    const options = request['stream_options'] as { readonly include_usage?: boolean } | null | undefined;
    this.includesUsage = options?.include_usage === true;
  }

  begin(): ResponseEvent[] {
    return [this.buildChunk([{ index: 0, delta: { role: 'assistant', content: '' }, finish_reason: null }])];
  }

  addItem(item: StreamedItem): ResponseEvent[] {
    if (item.attempt > this.attempt) {
      // Text of a new attempt cannot follow text of an old one. If none was sent, the new attempt is like the first.
      if (this.attempt > 0 && this.sentText.size > 0) this.isContiguous = false;
      this.attempt = item.attempt;
    }
    if (item.kind === 'gap' || item.kind === 'resync') this.isContiguous = false;
    if (item.kind !== 'delta' || !this.isContiguous) return [];
    const { index = 0, text, reasoning, toolCalls, finishReason = null } = item.delta as TextDelta;
    if (text) this.sentText.set(index, (this.sentText.get(index) ?? '') + text);
    if (finishReason !== null) this.finishedChoices.add(index);
    const delta = {
      ...(text !== undefined && { content: text }),
      ...(reasoning !== undefined && { reasoning_content: reasoning }),
      ...(toolCalls && { tool_calls: toolCalls }),
    };
    return [this.buildChunk([{ index, delta, finish_reason: finishReason }])];
  }

  complete(output: unknown): ResponseEvent[] {
    const { choices, usage } = output as Completion;
    const events: ResponseEvent[] = [];
    for (const choice of choices) {
      const rest = this.completeChoice(choice);
      if (!rest) {
        const message = 'The answer was restarted after a part of it was sent. Send the request again.';
        const error = { message, type: 'server_error', param: null, code: 'stream_interrupted' };
        return [...events, ...this.fail(error)];
      }
      events.push(...rest);
    }
    if (this.includesUsage) events.push(this.buildChunk([], usage));
    return [...events, { data: '[DONE]' }];
  }

  fail(error: StreamError): ResponseEvent[] {
    return [{ data: { error } }];
  }

  /** @returns what is not sent yet; null if the stored text does not begin with what was sent. */
  private completeChoice({ index, message, finish_reason: finishReason }: Choice): ResponseEvent[] | null {
    const sent = this.sentText.get(index) ?? '';
    const whole = message.content ?? '';
    if (!whole.startsWith(sent)) return null;
    const isFinished = this.finishedChoices.has(index);
    const rest = whole.slice(sent.length);
    const calls = sent === '' && !isFinished ? message.tool_calls : undefined;
    const events: ResponseEvent[] = [];
    if (rest || calls) {
      const delta = {
        ...(rest && { content: rest }),
        ...(calls && { tool_calls: calls.map((call, position) => ({ index: position, ...call })) }),
      };
      events.push(this.buildChunk([{ index, delta, finish_reason: null }]));
    }
    if (!isFinished) events.push(this.buildChunk([{ index, delta: {}, finish_reason: finishReason }]));
    return events;
  }

  private buildChunk(choices: readonly object[], usage: object | null = null): ResponseEvent {
    const { request, taskId, created, includesUsage } = this;
    const data = {
      id: `chatcmpl-${taskId.slice(taskId.indexOf('_') + 1)}`,
      object: 'chat.completion.chunk',
      created,
      model: request['model'],
      choices,
      ...(includesUsage && { usage }),
    };
    return { data };
  }
}
