/** Texts to token ids: prompts before them, the model's special tokens around them, cut to what it can read. */
import type { PreTrainedTokenizer } from '@huggingface/transformers';
import type { ModelPlan } from './thread-messages.ts';

export interface Tokens {
  readonly ids: readonly number[];
  /** Of these, the special tokens and the prompt at the beginning, where the prompt is not pooled. */
  readonly skip: number;
  readonly truncated: boolean;
}

export class InvalidTokens extends Error {}

export class ModelTokenizer {
  private readonly before: readonly number[];
  private readonly after: readonly number[];
  private readonly tokenizer: PreTrainedTokenizer;
  private readonly plan: ModelPlan;

  constructor(tokenizer: PreTrainedTokenizer, plan: ModelPlan) {
    this.tokenizer = tokenizer;
    this.plan = plan;
    const probe = this.idsOf('a');
    const whole = tokenizer.encode('a', { add_special_tokens: true });
    const at = probe.length === 0 ? whole.length : whole.findIndex((_, from) => isAt(whole, probe, from));
    this.before = whole.slice(0, Math.max(at, 0));
    this.after = whole.slice(Math.max(at, 0) + probe.length);
  }

  /** @throws InvalidTokens for ids that are not the model's. */
  encode(input: string | readonly number[], purpose: keyof ModelPlan['prompts']): Tokens {
    if (typeof input !== 'string') return this.ofIds(input);
    const prompt = this.plan.prompts[purpose];
    const ids = this.idsOf(prompt + input);
    const skip = this.plan.poolsPrompt || !prompt ? 0 : this.before.length + this.idsOf(prompt).length;
    return this.around(ids, skip);
  }

  /** A caller's own ids: with the special tokens around them, or without, and then they are put there. */
  private ofIds(ids: readonly number[]): Tokens {
    const { vocabSize } = this.plan;
    const wrong = vocabSize === null ? undefined : ids.find((id) => id >= vocabSize);
    if (wrong !== undefined)
      throw new InvalidTokens(`token ids are below ${vocabSize} for this model; one is ${wrong}`);
    const { before, after } = this;
    const isWhole =
      ids.length >= before.length + after.length &&
      isAt(ids, before, 0) &&
      isAt(ids, after, ids.length - after.length);
    return this.around(isWhole ? ids.slice(before.length, ids.length - after.length) : ids, 0);
  }

  private around(ids: readonly number[], skip: number): Tokens {
    const room = Math.max(this.plan.maxTokens - this.before.length - this.after.length, 0);
    const truncated = ids.length > room;
    const kept = truncated ? ids.slice(0, room) : ids;
    const all = [...this.before, ...kept, ...this.after];
    return { ids: all, skip: Math.min(skip, all.length - 1), truncated };
  }

  private idsOf(text: string): number[] {
    return text === '' ? [] : this.tokenizer.encode(text, { add_special_tokens: false });
  }
}

function isAt(ids: readonly number[], part: readonly number[], from: number): boolean {
  return part.every((id, at) => ids[from + at] === id);
}
