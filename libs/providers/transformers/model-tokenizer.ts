/** Encodes texts to token ids: prompt first, special tokens around, truncated to the model's maximum length. */
import type { PreTrainedTokenizer } from '@huggingface/transformers';
import type { ModelPlan } from './thread-messages.ts';

export interface Tokens {
  readonly ids: readonly number[];
  /** Number of tokens at the beginning that are not pooled: special tokens and the prompt. */
  readonly skip: number;
  readonly truncated: boolean;
}

export class InvalidTokens extends Error {}

export class ModelTokenizer {
  /** Special tokens before a text. */
  private readonly prefix: readonly number[];
  /** Special tokens after a text. */
  private readonly suffix: readonly number[];
  private readonly tokenizer: PreTrainedTokenizer;
  private readonly plan: ModelPlan;

  constructor(tokenizer: PreTrainedTokenizer, plan: ModelPlan) {
    this.tokenizer = tokenizer;
    this.plan = plan;
    // The special tokens are found by encoding the same text with them and without.
    const bare = this.encodeBare('a');
    const full = tokenizer.encode('a', { add_special_tokens: true });
    const at = bare.length === 0 ? full.length : full.findIndex((_, from) => hasTokensAt(full, bare, from));
    this.prefix = full.slice(0, Math.max(at, 0));
    this.suffix = full.slice(Math.max(at, 0) + bare.length);
  }

  /** @throws InvalidTokens for token ids outside of the model's vocabulary. */
  encode(input: string | readonly number[], purpose: keyof ModelPlan['prompts']): Tokens {
    if (typeof input !== 'string') return this.checkIds(input);
    const prompt = this.plan.prompts[purpose];
    const ids = this.encodeBare(prompt + input);
    const hasUnpooledPrompt = !this.plan.poolsPrompt && prompt !== '';
    const skip = hasUnpooledPrompt ? this.prefix.length + this.encodeBare(prompt).length : 0;
    return this.addSpecialTokens(ids, skip);
  }

  /** @param ids from the caller, with the special tokens or without. */
  private checkIds(ids: readonly number[]): Tokens {
    const { vocabSize } = this.plan;
    const invalid = vocabSize === null ? undefined : ids.find((id) => id >= vocabSize);
    if (invalid !== undefined)
      throw new InvalidTokens(`token ids of this model are below ${vocabSize}; one is ${invalid}`);
    const { prefix, suffix } = this;
    const hasSpecialTokens =
      ids.length >= prefix.length + suffix.length &&
      hasTokensAt(ids, prefix, 0) &&
      hasTokensAt(ids, suffix, ids.length - suffix.length);
    const bare = hasSpecialTokens ? ids.slice(prefix.length, ids.length - suffix.length) : ids;
    return this.addSpecialTokens(bare, 0);
  }

  private addSpecialTokens(ids: readonly number[], skip: number): Tokens {
    const maxIds = Math.max(this.plan.maxTokens - this.prefix.length - this.suffix.length, 0);
    const truncated = ids.length > maxIds;
    const kept = truncated ? ids.slice(0, maxIds) : ids;
    const all = [...this.prefix, ...kept, ...this.suffix];
    return { ids: all, skip: Math.min(skip, all.length - 1), truncated };
  }

  private encodeBare(text: string): number[] {
    return text === '' ? [] : this.tokenizer.encode(text, { add_special_tokens: false });
  }
}

function hasTokensAt(ids: readonly number[], part: readonly number[], from: number): boolean {
  return part.every((id, at) => ids[from + at] === id);
}
