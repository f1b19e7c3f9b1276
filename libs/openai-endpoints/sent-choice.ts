/** What of a streamed choice was sent, so that the rest of the stored output can follow at the end. */
import type { Fields } from './endpoint.ts';
import type { TextDelta } from './response-stream.ts';

interface Choice {
  readonly message: Fields;
  readonly finish_reason: string | null;
}

interface ToolCall {
  readonly function?: { readonly arguments?: unknown } | undefined;
}

export class SentChoice {
  isFinished = false;
  /** Text sent so far, by field of the delta. */
  private readonly texts = new Map<string, string>();
  /** Arguments sent so far, by position of the tool call. */
  private readonly calls = new Map<number, string>();
  /** Fields of the delta and of the choice that were sent and are not text. */
  private readonly others = new Set<string>();
  private hasRole = false;

  /** @returns whether the client has a part of the answer. */
  get hasContent(): boolean {
    return this.texts.size > 0 || this.calls.size > 0;
  }

  /** @returns the fields of a delta that are to be sent. */
  add({ text, fields = {}, toolCalls = [], choice = {}, finishReason = null }: TextDelta): Fields {
    const delta = { ...this.takeRole(), ...(text !== undefined && { content: text }), ...fields };
    for (const [name, value] of Object.entries(delta)) {
      if (typeof value !== 'string') this.others.add(name);
      else if (name !== 'role' && value !== '') this.texts.set(name, (this.texts.get(name) ?? '') + value);
    }
    for (const name of Object.keys(choice)) this.others.add(name);
    for (const call of toolCalls as readonly (ToolCall & { readonly index?: number })[]) {
      const { index = 0 } = call;
      this.calls.set(index, (this.calls.get(index) ?? '') + readArguments(call));
    }
    if (finishReason !== null) this.isFinished = true;
    return { ...delta, ...(toolCalls.length > 0 && { tool_calls: toolCalls }) };
  }

  /** Each choice of a stream begins with its role. */
  takeRole(): Fields {
    if (this.hasRole) return {};
    this.hasRole = true;
    return { role: 'assistant' };
  }

  /**
   * @returns the delta and the fields of the choice that were not sent; null if the stored output does not continue what
   * was sent.
   */
  complete({ message, finish_reason: _, ...choice }: Choice): { delta: Fields; choice: Fields } | null {
    const delta: Record<string, unknown> = {};
    const { tool_calls: calls, role: __, ...fields } = message;
    for (const [name, value] of Object.entries(fields)) {
      if (typeof value === 'string') {
        const sent = this.texts.get(name) ?? '';
        if (!value.startsWith(sent)) return null;
        if (value.length > sent.length) delta[name] = value.slice(sent.length);
      } else if (value !== null && !this.others.has(name)) delta[name] = value;
    }
    if (this.texts.has('content') && typeof message['content'] !== 'string') return null;
    const rest = this.completeCalls((calls ?? []) as readonly ToolCall[]);
    if (!rest) return null;
    const unsent = Object.entries(choice).filter(
      ([name, value]) => name !== 'index' && value !== null && !this.others.has(name),
    );
    return {
      delta: { ...delta, ...(rest.length > 0 && { tool_calls: rest }) },
      choice: Object.fromEntries(unsent),
    };
  }

  private completeCalls(calls: readonly ToolCall[]): object[] | null {
    const rest: object[] = [];
    for (const [index, call] of calls.entries()) {
      const sent = this.calls.get(index);
      if (sent === undefined) {
        rest.push({ index, ...call });
        continue;
      }
      const whole = readArguments(call);
      if (!whole.startsWith(sent)) return null;
      if (whole.length > sent.length) rest.push({ index, function: { arguments: whole.slice(sent.length) } });
    }
    return rest;
  }
}

const readArguments = ({ function: called }: ToolCall): string =>
  typeof called?.arguments === 'string' ? called.arguments : '';
