/**
 * The type of a kind of task. A kind is data: its input and output schemas, how lines are packed into provider calls, and
 * its limits. The API, the planner, the worker and the providers read it; none of them branches on a kind's name.
 */
import type { z } from 'zod';
import type { ChunkLimits, PackLimits } from '#domain';
import type { Media, MediaField } from './media.ts';

export interface Usage {
  inputTokens: number;
  outputTokens: number;
  /** Part of the input tokens that the provider read from its cache. Absent if it does not report them. */
  cachedTokens?: number;
  /** Part of the output tokens that were reasoning. Absent if the provider does not report them. */
  reasoningTokens?: number;
  /** US dollars, if the provider reports a cost. */
  cost?: number;
  /** Number of generated images. */
  images?: number;
  /** Duration of the generated or transcribed audio or video, if known. */
  seconds?: number;
}

/** The answer to one line or task, ready to be sent. */
export interface Answer {
  /** The response body as JSON text. */
  readonly json: string;
  readonly usage: Usage;
  /** The media that the body references by index. */
  readonly media?: readonly Media[];
}

/** How lines are joined into one provider call, and its output split into one output per line. */
export interface Packing<Body, Input, Output> extends PackLimits {
  /** Only lines with the same key share a call. */
  getKey(body: Body): string;
  /** @returns the estimated tokens and the exact number of inputs of a line. */
  weigh(body: Body): { tokens: number; items: number };
  join(bodies: Body[]): Input;
  /** @throws ProviderFailure `invalid_output` if the output does not match the inputs. */
  split(output: Output, bodies: Body[]): Output[];
}

export type Modality = 'text' | 'image' | 'audio' | 'video' | 'vector' | 'table' | 'labels' | 'regions';

/** A request that runs as it is, on the sandbox. */
export interface Example {
  readonly model: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface Kind<Body = unknown, Input = unknown, Output = unknown> {
  readonly id: string;
  readonly title: string;
  readonly modalities: { readonly in: readonly Modality[]; readonly out: readonly Modality[] };
  /** The request body: `model`, `metadata`, and the fields of the input. */
  readonly body: z.ZodType<Body>;
  /** The fields of the input alone, for documentation. */
  readonly input: z.ZodType;
  readonly output: z.ZodType;
  /** An answer up to this size is stored in the task's row. Larger answers, and all media, go to object storage. */
  readonly result: { readonly maxInlineBytes: number };
  readonly chunk: ChunkLimits;
  /** Default time limit of one provider call. A request can set its own, up to `maxTimeoutMs`. */
  readonly timeoutMs: number;
  readonly maxTimeoutMs: number;
  /** Whether the answer can be streamed. */
  readonly streams: boolean;
  /** Unset: each line is a call of its own, whose input `toInput` builds. */
  readonly packing?: Packing<Body, Input, Output>;
  toInput(body: Body): Input;
  /** Cost of a body relative to others of its kind, e.g. seconds of video × pixels. @default 1 */
  estimateWork?(body: Body): number;
  listMediaFields?(body: Body): MediaField[];
  /** Estimated size of the answer, used to cut chunks. Must accept bodies that are not validated yet. */
  readonly estimateAnswerBytes: (body: Readonly<Record<string, unknown>>) => number;
  /** @throws ProviderFailure `invalid_output` if the output does not fit the kind's schema. */
  buildAnswer(output: Output, body: Body): Answer;
  /** Complete and valid requests. */
  readonly examples: readonly [Example, ...Example[]];
}

/** Checks the parts of a kind against each other's types. */
export function defineKind<Body, Input, Output>(kind: Kind<Body, Input, Output>): Kind<Body, Input, Output> {
  return kind;
}
