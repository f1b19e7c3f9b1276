/** What comes in pieces, put together: the choices of a chat and of a text. */
import type { Run } from './provider.ts';

interface ToolCallPiece {
  readonly index: number;
  readonly id?: string;
  readonly type?: string;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

/** As OpenAI's endpoints name it, old and new, and as others add to it. */
export interface UpstreamUsage {
  readonly prompt_tokens?: number;
  readonly input_tokens?: number;
  readonly completion_tokens?: number;
  readonly output_tokens?: number;
  /** Where tokens are not what is counted: of the sound that was listened to. */
  readonly seconds?: number | undefined;
  /** US dollars: https://openrouter.ai/docs/use-cases/usage-accounting; an object: https://docs.perplexity.ai. */
  readonly cost?: number | { readonly total_cost?: number } | null | undefined;
}

export interface ChatChunk {
  readonly usage?: UpstreamUsage | null;
  readonly choices?: readonly {
    readonly index: number;
    readonly delta?: {
      readonly content?: string | null;
      readonly reasoning_content?: string | null;
      readonly tool_calls?: readonly ToolCallPiece[];
    };
    readonly finish_reason?: string | null;
  }[];
}

interface ToolCall {
  id: string;
  type: string;
  function: { name: string; arguments: string };
}

interface Choice {
  content: string;
  reasoning: string;
  readonly calls: ToolCall[];
  finishReason: string | null;
}

export class ChatStreamCollector {
  private readonly gathered: Choice[] = [];

  add({ choices }: ChatChunk, run: Run): boolean {
    let hasPassed = false;
    for (const { index, delta = {}, finish_reason: finishReason = null } of choices ?? []) {
      const choice = (this.gathered[index] ??= { content: '', reasoning: '', calls: [], finishReason: null });
      const { content, reasoning_content: reasoning, tool_calls: toolCalls } = delta;
      choice.content += content ?? '';
      choice.reasoning += reasoning ?? '';
      for (const piece of toolCalls ?? []) addTo(choice.calls, piece);
      choice.finishReason = finishReason ?? choice.finishReason;
      if (!content && !reasoning && !toolCalls && finishReason === null) continue;
      hasPassed = true;
      run.stream({
        index,
        ...(content && { text: content }),
        ...(reasoning && { reasoning }),
        ...(toolCalls && { toolCalls }),
        ...(finishReason !== null && { finishReason }),
      });
    }
    return hasPassed;
  }

  get isComplete(): boolean {
    return this.gathered.length > 0 && this.gathered.every((choice) => choice.finishReason !== null);
  }

  get choices() {
    return this.gathered.map(({ content, reasoning, calls, finishReason }, index) => ({
      index,
      message: {
        role: 'assistant',
        content: content === '' && calls.length > 0 ? null : content,
        ...(calls.length > 0 && { tool_calls: calls }),
        ...(reasoning && { reasoning_content: reasoning }),
      },
      finish_reason: finishReason,
    }));
  }
}

/** The first piece of a call has its id and name, the others more of its arguments. */
function addTo(calls: ToolCall[], { index, id, type, function: part }: ToolCallPiece): void {
  const call = (calls[index] ??= { id: '', type: 'function', function: { name: '', arguments: '' } });
  if (id) call.id = id;
  if (type) call.type = type;
  call.function.name += part?.name ?? '';
  call.function.arguments += part?.arguments ?? '';
}

export interface TextChunk {
  readonly usage?: UpstreamUsage | null;
  readonly choices?: readonly {
    readonly index: number;
    readonly text?: string;
    readonly finish_reason?: string | null;
  }[];
}

export class TextStreamCollector {
  private readonly gathered: { text: string; finishReason: string | null }[] = [];

  add({ choices }: TextChunk, run: Run): boolean {
    let hasPassed = false;
    for (const { index, text = '', finish_reason: finishReason = null } of choices ?? []) {
      const choice = (this.gathered[index] ??= { text: '', finishReason: null });
      choice.text += text;
      choice.finishReason = finishReason ?? choice.finishReason;
      if (text === '' && finishReason === null) continue;
      hasPassed = true;
      run.stream({ index, ...(text && { text }), ...(finishReason !== null && { finishReason }) });
    }
    return hasPassed;
  }

  get isComplete(): boolean {
    return this.gathered.length > 0 && this.gathered.every((choice) => choice.finishReason !== null);
  }

  get choices() {
    return this.gathered.map(({ text, finishReason }, index) => ({
      index,
      text,
      finish_reason: finishReason,
    }));
  }
}
