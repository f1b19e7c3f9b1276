/**
 * Assembles the choices of a streamed chat or text from its chunks. The rules:
 *
 * - A choice is known by its index; without one, by its position in the chunk.
 * - Of a delta's fields, text is joined, lists are appended, objects are merged by the same rules, and of anything else
 *   the last value counts. Names (`role`, `id`, `type`, …) are not joined. null says nothing.
 * - Other fields of a choice (`logprobs`) follow the same rules. Of a chunk's other fields the last value counts.
 * - A tool call is known by its id; see `ToolCallCollector`.
 * - Usage may be in any chunk. The last counts.
 * - The stream is complete when it ends with `[DONE]`, with a finish reason, or without an error after some answer. A
 *   choice without a finish reason then gets `stop`, or `tool_calls`.
 * - A whole answer in place of chunks counts as one chunk.
 */
import {
  assertNoChoiceError,
  completeChatChoice,
  completeTextChoice,
  isObject,
  readContent,
  readFinishReason,
  readIndex,
  toObjects,
  type Fields,
} from './completion-choices.ts';
import { mergeFields } from './merge-fields.ts';
import type { Delta, Run } from './run.ts';
import { ToolCallCollector } from './tool-call-collector.ts';
import type { UpstreamUsage } from './usage.ts';

/** Of these we send our own, or read them and send what they stand for. */
const readFields = ['id', 'object', 'created', 'model', 'choices', 'usage', 'error', 'simulated', 'millrace'];

const omit = (body: Fields, names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(body).filter(([name, value]) => value !== null && !names.includes(name)));

/** What is new in one choice. */
interface ChoiceDelta extends Omit<Delta, 'index' | 'chunk' | 'finishReason'> {
  readonly finishReason: string | null;
}

interface ChoiceCollector {
  /** Whether there is some answer, or the reason why there is none. */
  readonly hasBegun: boolean;
  /** @param choice of one chunk. */
  add(choice: Fields): ChoiceDelta;
  build(index: number): Fields;
}

export class CompletionCollector {
  private readonly choices = new Map<number, ChoiceCollector>();
  private others: Fields = {};
  private reportedUsage: UpstreamUsage | null = null;
  private whole: Fields[] | null = null;

  constructor(
    private readonly createChoice: () => ChoiceCollector,
    private readonly completeChoice: (choice: Fields, position: number) => Fields,
  ) {}

  /** @returns whether the run's caller was sent any part of it. */
  addChunk(chunk: unknown, run: Run): boolean {
    if (!isObject(chunk)) return false;
    this.addShared(chunk);
    const others = omit(chunk, readFields);
    let hasForwarded = false;
    for (const [position, choice] of toObjects(chunk['choices']).entries()) {
      assertNoChoiceError(choice);
      const index = readIndex(choice, position);
      const collector = this.choices.get(index) ?? this.createChoice();
      this.choices.set(index, collector);
      const { finishReason, ...delta } = collector.add(choice);
      if (finishReason === null && Object.keys(delta).length === 0) continue;
      hasForwarded = true;
      run.stream({
        index,
        ...delta,
        ...(finishReason !== null && { finishReason }),
        ...(Object.keys(others).length > 0 && { chunk: others }),
      });
    }
    return hasForwarded;
  }

  /** @returns whether the run's caller was sent any part of it. @throws ProviderFailure, code `invalid_output`. */
  addWhole(answer: unknown, run: Run): boolean {
    if (!isObject(answer)) return false;
    this.addShared(answer);
    const choices = toObjects(answer['choices']).map(this.completeChoice);
    if (choices.length === 0) return false;
    this.whole = choices;
    const others = omit(answer, readFields);
    for (const choice of choices) run.stream({ ...toDelta(choice), chunk: others });
    return true;
  }

  get hasChoices(): boolean {
    return this.whole !== null || this.choices.size > 0;
  }

  /** False for a stream that ended after its first words about itself, the role of a choice for example. */
  get hasBegun(): boolean {
    return this.whole !== null || [...this.choices.values()].some((choice) => choice.hasBegun);
  }

  get usage(): UpstreamUsage | null {
    return this.reportedUsage;
  }

  /** The choices in order, and the fields of the answer that we do not read. */
  build(): { readonly choices: readonly Fields[] } & Fields {
    const entries = [...this.choices].sort(([a], [b]) => a - b);
    return { ...this.others, choices: this.whole ?? entries.map(([index, choice]) => choice.build(index)) };
  }

  private addShared(body: Fields): void {
    // Groq: https://console.groq.com/docs/api-reference#chat-create
    const usage = [body['usage'], isObject(body['x_groq']) ? body['x_groq']['usage'] : null].find(isObject);
    this.reportedUsage = usage ?? this.reportedUsage;
    this.others = { ...this.others, ...omit(body, readFields) };
  }
}

/** A whole choice as the delta that a stream would have. */
function toDelta(choice: Fields): Delta {
  const { index, finish_reason: finishReason, message, text, ...others } = choice;
  const { content, tool_calls: calls, role: _, ...fields } = isObject(message) ? message : { content: text };
  return {
    index: index as number,
    ...(typeof content === 'string' && { text: content }),
    ...(Array.isArray(calls) && { toolCalls: calls.map((call, at) => ({ index: at, ...(call as object) })) }),
    ...(Object.keys(fields).length > 0 && { fields }),
    ...(Object.keys(others).length > 0 && { choice: others }),
    finishReason: finishReason as string,
  };
}

export const createChatCollector = (): CompletionCollector =>
  new CompletionCollector(() => new ChatChoice(), completeChatChoice);

export const createTextCollector = (): CompletionCollector =>
  new CompletionCollector(() => new TextChoice(), completeTextChoice);

class ChatChoice implements ChoiceCollector {
  private text = '';
  private fields: Fields = {};
  private others: Fields = {};
  private finishReason: string | null = null;
  private readonly toolCalls = new ToolCallCollector();

  get hasBegun(): boolean {
    const { text, fields, finishReason, toolCalls } = this;
    return finishReason !== null || text !== '' || !toolCalls.isEmpty || hasContent(fields);
  }

  add(choice: Fields): ChoiceDelta {
    const { delta: given, message, index: _, finish_reason: __, ...rest } = choice;
    const delta = [given, message].find(isObject) ?? {};
    const { content, tool_calls: toolCalls, role: ___, ...others } = omit(delta, []);
    const { text, reasoning } = readContent(content);
    const fields = { ...others, ...(reasoning !== '' && { reasoning_content: reasoning }) };
    const choiceFields = omit(rest, []);
    const calls = this.toolCalls.add(toObjects(toolCalls));
    const finishReason = readFinishReason(choice);
    this.text += text ?? '';
    this.fields = mergeFields(this.fields, fields);
    this.others = mergeFields(this.others, choiceFields);
    this.finishReason = finishReason ?? this.finishReason;
    return {
      ...(text && { text }),
      ...(calls.length > 0 && { toolCalls: calls }),
      ...(hasContent(fields) && { fields }),
      ...(hasContent(choiceFields) && { choice: choiceFields }),
      finishReason,
    };
  }

  build(index: number): Fields {
    const { text, fields, others, finishReason } = this;
    const calls = this.toolCalls.build();
    return {
      ...others,
      index,
      message: {
        role: 'assistant',
        content: text === '' && calls.length > 0 ? null : text,
        ...(calls.length > 0 && { tool_calls: calls }),
        ...fields,
      },
      finish_reason: finishReason ?? (calls.length > 0 ? 'tool_calls' : 'stop'),
    };
  }
}

class TextChoice implements ChoiceCollector {
  private text = '';
  private others: Fields = {};
  private finishReason: string | null = null;

  get hasBegun(): boolean {
    return this.finishReason !== null || this.text !== '';
  }

  add(choice: Fields): ChoiceDelta {
    const { text: given, delta, index: _, finish_reason: __, ...rest } = choice;
    const text =
      typeof given === 'string' ? given : readContent(isObject(delta) ? delta['content'] : null).text;
    const others = omit(rest, []);
    const finishReason = readFinishReason(choice);
    this.text += text ?? '';
    this.others = mergeFields(this.others, others);
    this.finishReason = finishReason ?? this.finishReason;
    return {
      ...(text && { text }),
      ...(hasContent(others) && { choice: others }),
      finishReason,
    };
  }

  build(index: number): Fields {
    return { ...this.others, index, text: this.text, finish_reason: this.finishReason ?? 'stop' };
  }
}

/** Empty text and empty lists are not worth a chunk of their own. */
const hasContent = (fields: Fields): boolean =>
  Object.values(fields).some((value) => value !== '' && !(Array.isArray(value) && value.length === 0));
