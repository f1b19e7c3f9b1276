/** Assembles the choices of a streamed chat or text from its chunks. */
import type { Run } from './run.ts';
import type { UpstreamUsage } from './usage.ts';

interface ToolCallChunk {
  readonly index: number;
  readonly id?: string;
  readonly type?: string;
  readonly function?: { readonly name?: string; readonly arguments?: string };
}

export interface ChatChunk {
  readonly usage?: UpstreamUsage | null;
  readonly choices?: readonly {
    readonly index: number;
    readonly delta?: {
      readonly content?: string | null;
      readonly reasoning_content?: string | null;
      readonly tool_calls?: readonly ToolCallChunk[];
    };
    readonly finish_reason?: string | null;
  }[];
}

interface ToolCall {
  id: string;
  type: string;
  function: { name: string; arguments: string };
}

interface ChatChoice {
  content: string;
  reasoning: string;
  readonly toolCalls: ToolCall[];
  finishReason: string | null;
}

export class ChatStreamCollector {
  private readonly collected: ChatChoice[] = [];

  add({ choices }: ChatChunk, run: Run): boolean {
    let hasForwarded = false;
    for (const { index, delta = {}, finish_reason: finishReason = null } of choices ?? []) {
      const choice = (this.collected[index] ??= {
        content: '',
        reasoning: '',
        toolCalls: [],
        finishReason: null,
      });
      const { content, reasoning_content: reasoning, tool_calls: toolCalls } = delta;
      choice.content += content ?? '';
      choice.reasoning += reasoning ?? '';
      for (const chunk of toolCalls ?? []) addToolCallChunk(choice.toolCalls, chunk);
      choice.finishReason = finishReason ?? choice.finishReason;
      if (!content && !reasoning && !toolCalls && finishReason === null) continue;
      hasForwarded = true;
      run.stream({
        index,
        ...(content && { text: content }),
        ...(reasoning && { reasoning }),
        ...(toolCalls && { toolCalls }),
        ...(finishReason !== null && { finishReason }),
      });
    }
    return hasForwarded;
  }

  get isComplete(): boolean {
    return this.collected.length > 0 && this.collected.every((choice) => choice.finishReason !== null);
  }

  get choices() {
    return this.collected.map(({ content, reasoning, toolCalls, finishReason }, index) => ({
      index,
      message: {
        role: 'assistant',
        content: content === '' && toolCalls.length > 0 ? null : content,
        ...(toolCalls.length > 0 && { tool_calls: toolCalls }),
        ...(reasoning && { reasoning_content: reasoning }),
      },
      finish_reason: finishReason,
    }));
  }
}

/** The first chunk of a tool call has its id and name. Each further chunk has more of its arguments. */
function addToolCallChunk(calls: ToolCall[], { index, id, type, function: part }: ToolCallChunk): void {
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
  private readonly collected: { text: string; finishReason: string | null }[] = [];

  add({ choices }: TextChunk, run: Run): boolean {
    let hasForwarded = false;
    for (const { index, text = '', finish_reason: finishReason = null } of choices ?? []) {
      const choice = (this.collected[index] ??= { text: '', finishReason: null });
      choice.text += text;
      choice.finishReason = finishReason ?? choice.finishReason;
      if (text === '' && finishReason === null) continue;
      hasForwarded = true;
      run.stream({ index, ...(text && { text }), ...(finishReason !== null && { finishReason }) });
    }
    return hasForwarded;
  }

  get isComplete(): boolean {
    return this.collected.length > 0 && this.collected.every((choice) => choice.finishReason !== null);
  }

  get choices() {
    return this.collected.map(({ text, finishReason }, index) => ({
      index,
      text,
      finish_reason: finishReason,
    }));
  }
}
