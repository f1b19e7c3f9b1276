/**
 * The lines that a fault run submits, generated from the line number, so that the checker can generate the expected answer
 * of a line again and the run does not need to store it.
 */
import { createProviders, createSilentRun } from '#providers';
import type { EmbeddingsInput } from '#catalogue';

/** A word of every input text. No log line may contain it. */
export const inputWord = 'millstone-grist';

/** One line in 101 has an invalid body, so that the error file is never empty. */
const badEvery = 101;

export interface InputOptions {
  readonly lines: number;
  /** Distinguishes the lines of different batches. */
  readonly tag: string;
  /** Sandbox time of each call, and of each line in it, in ms. */
  readonly delayMs?: number;
  readonly itemMs?: number;
  /** Use the billed model, with this many lines per call. */
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

  /** @param line 1-based. */
  customId(line: number): string {
    return `${this.tag}-${line}`;
  }

  /** @returns the 1-based line number, or null if no line of this input has this `custom_id`. */
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

  /** The expected vector of a line, from the sandbox provider, which is deterministic. */
  async vector(line: number): Promise<Float32Array> {
    const input: EmbeddingsInput = { inputs: [this.text(line)] };
    const { provider, ...access } = createProviders().route('sandbox/embeddings', 'embeddings', {
      workspaceId: null,
    });
    const signal = new AbortController().signal;
    const output = await provider.handlers.embeddings!({ ...access, input }, createSilentRun(signal));
    return output.vectors[0]!;
  }

  /** The JSONL, in parts of about 64 KiB. */
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

  /** A `File` for the OpenAI client. */
  file(name = 'input.jsonl'): File {
    return new File([...this.chunks()], name);
  }

  private json(line: number): string {
    // Lines with different metadata do not share a call.
    const call = this.paid && { call: String(Math.floor((line - 1) / this.paid.linesPerCall)) };
    const body = {
      model: this.paid ? 'sandbox/embeddings:paid' : 'sandbox/embeddings',
      input: this.isBad(line) ? '' : this.text(line),
      metadata: { sandbox: this.sandbox, ...call },
    };
    return JSON.stringify({ custom_id: this.customId(line), method: 'POST', url: '/v1/embeddings', body });
  }
}
