/**
 * The lines that a fault run submits, made from their number alone: whoever checks a record makes its line again
 * and knows what should stand there, so that nothing has to be remembered but one bit a line.
 */
import { createProviders, createSilentRun } from '#providers';
import type { EmbeddingsInput } from '#catalogue';

/** A word that no log line may hold: it comes from a caller's input. */
export const inputWord = 'millstone-grist';

/** One line in so many has a body that its kind refuses: the error file is never empty. */
const badEvery = 101;

export interface InputOptions {
  readonly lines: number;
  /** Tells the lines of one batch from another's. */
  readonly tag: string;
  /** Time of a call on top of nothing, and of each line in it, in ms: how the sandbox is slowed. */
  readonly delayMs?: number;
  readonly itemMs?: number;
  /** Lines that cost money, so many of them in a call. */
  readonly paid?: { readonly linesPerCall: number };
}

export class BatchInput {
  readonly lines: number;
  private readonly tag: string;
  private readonly sandbox: string;
  private readonly paid: InputOptions['paid'];

  constructor({ lines, tag, delayMs = 0, itemMs = 0, paid }: InputOptions) {
    this.lines = lines;
    this.tag = tag;
    this.paid = paid;
    this.sandbox = JSON.stringify({ delay_ms: delayMs, item_ms: itemMs });
  }

  /** @param line from 1. */
  customId(line: number): string {
    return `${this.tag}-${line}`;
  }

  /** The line's number, or null when no line of this input has such an id. */
  parseLineNumber(customId: string): number | null {
    const line = Number(customId.slice(this.tag.length + 1));
    return Number.isInteger(line) && line >= 1 && line <= this.lines && this.customId(line) === customId
      ? line
      : null;
  }

  isBad(line: number): boolean {
    return line % badEvery === badEvery - 1;
  }

  get badLines(): number {
    return Math.floor((this.lines + 1) / badEvery);
  }

  text(line: number): string {
    return `${inputWord} ${this.tag} ${line}`;
  }

  /** The vector that the sandbox has for a line: asked of the provider itself, which is deterministic. */
  async vector(line: number): Promise<Float32Array> {
    const input: EmbeddingsInput = { inputs: [this.text(line)] };
    const { provider, ...access } = createProviders().route('sandbox/embeddings', 'embeddings', {
      workspaceId: null,
    });
    const signal = new AbortController().signal;
    const output = await provider.handlers.embeddings!({ ...access, input }, createSilentRun(signal));
    return output.vectors[0]!;
  }

  /** The JSONL, some thousand lines at a time. */
  *chunks(): Generator<string> {
    let text = '';
    for (let line = 1; line <= this.lines; line++) {
      text += this.json(line);
      text += '\n';
      if (text.length < 65_536) continue;
      yield text;
      text = '';
    }
    if (text) yield text;
  }

  /** As a file that the stock client uploads. */
  file(name = 'input.jsonl'): File {
    return new File([...this.chunks()], name);
  }

  private json(line: number): string {
    // Lines whose metadata differ do not share a call.
    const call = this.paid && { call: String(Math.floor((line - 1) / this.paid.linesPerCall)) };
    const body = {
      model: this.paid ? 'sandbox/embeddings:paid' : 'sandbox/embeddings',
      input: this.isBad(line) ? '' : this.text(line),
      metadata: { sandbox: this.sandbox, ...call },
    };
    return JSON.stringify({ custom_id: this.customId(line), method: 'POST', url: '/v1/embeddings', body });
  }
}
