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
import { SentChoice } from './sent-choice.ts';

interface Completion extends Fields {
  readonly choices: readonly Choice[];
  /** Absent if the provider reports none. */
  readonly usage?: object;
}

interface Choice {
  readonly index: number;
  readonly message: Fields;
  readonly finish_reason: string | null;
}

export class ChatStream implements ResponseStream {
  private readonly created = nowInSeconds();
  private readonly includesUsage: boolean;
  private readonly choices = new Map<number, SentChoice>();
  private hasSentShared = false;
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
    const role = this.getChoice(0).takeRole();
    return [this.buildChunk([{ index: 0, delta: { ...role, content: '' }, finish_reason: null }])];
  }

  addItem(item: StreamedItem): ResponseEvent[] {
    if (item.attempt > this.attempt) {
      // The answer of a new attempt cannot follow that of an old one. If none was sent, it is like the first.
      if (this.attempt > 0 && [...this.choices.values()].some(({ hasContent }) => hasContent))
        this.isContiguous = false;
      this.attempt = item.attempt;
    }
    if (item.kind === 'gap' || item.kind === 'resync') this.isContiguous = false;
    if (item.kind !== 'delta' || !this.isContiguous) return [];
    const { index = 0, finishReason = null, choice = {}, chunk } = item.delta as TextDelta;
    const delta = this.getChoice(index).add(item.delta as TextDelta);
    if (chunk) this.hasSentShared = true;
    return [this.buildChunk([{ ...choice, index, delta, finish_reason: finishReason }], { shared: chunk })];
  }

  complete(output: unknown): ResponseEvent[] {
    const { choices, usage, ...others } = output as Completion;
    const shared = this.hasSentShared ? {} : omitOwnFields(others);
    const events: ResponseEvent[] = [];
    for (const choice of choices) {
      const rest = this.completeChoice(choice, shared);
      if (!rest) {
        const message = 'The answer was restarted after a part of it was sent. Send the request again.';
        const error = { message, type: 'server_error', param: null, code: 'stream_interrupted' };
        return [...events, ...this.fail(error)];
      }
      events.push(...rest);
    }
    if (this.includesUsage && usage) events.push(this.buildChunk([], { usage, shared }));
    return [...events, { data: '[DONE]' }];
  }

  fail(error: StreamError): ResponseEvent[] {
    return [{ data: { error } }];
  }

  /** @returns what is not sent yet; null if the stored output does not continue what was sent. */
  private completeChoice(choice: Choice, shared: Fields): ResponseEvent[] | null {
    const { index, finish_reason: finishReason } = choice;
    const sent = this.getChoice(index);
    const rest = sent.complete(choice);
    if (!rest) return null;
    const delta = { ...sent.takeRole(), ...rest.delta };
    const events: ResponseEvent[] = [];
    const hasRest = Object.keys(delta).length > 0 || Object.keys(rest.choice).length > 0;
    if (hasRest) {
      events.push(this.buildChunk([{ ...rest.choice, index, delta, finish_reason: null }], { shared }));
    }
    if (!sent.isFinished)
      events.push(this.buildChunk([{ index, delta: {}, finish_reason: finishReason }], { shared }));
    return events;
  }

  private getChoice(index: number): SentChoice {
    const choice = this.choices.get(index) ?? new SentChoice();
    this.choices.set(index, choice);
    return choice;
  }

  private buildChunk(
    choices: readonly object[],
    { usage = null, shared = {} }: { usage?: object | null; shared?: Fields | undefined } = {},
  ): ResponseEvent {
    const { request, taskId, created, includesUsage } = this;
    const data = {
      ...shared,
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

/** The chunks have these of their own. */
const ownFields = ['id', 'object', 'created', 'model', 'millrace'];

const omitOwnFields = (fields: Fields): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !ownFields.includes(name)));
