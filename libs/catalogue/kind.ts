/**
 * A kind of task as data: what goes in, what comes out, how its lines are packed into a provider's calls, and
 * its limits. Everything else (API, planner, worker, providers) reads this and never branches on a kind's name.
 */
import type { z } from 'zod';
import type { ChunkLimits, PackLimits } from '#domain';
import type { Media, MediaSlot } from './media.ts';

export interface Usage {
  inputTokens: number;
  outputTokens: number;
  /** US dollars, where the provider says what it charges. */
  cost?: number;
  /** That were made, where the kind makes images. */
  images?: number;
  /** Of the sound or film that was made, or listened to, where known. */
  seconds?: number;
}

/** A line's answer as it goes on the wire. */
export interface Answer {
  /** The response body, as JSON text. */
  readonly json: string;
  readonly usage: Usage;
  /** What the body refers to by index. */
  readonly media?: readonly Media[];
}

/** How several lines become one provider call, and one output several answers. */
export interface Packing<Body, Input, Output> extends PackLimits {
  /** Lines of different keys never share a call. */
  key(body: Body): string;
  /** Estimated tokens and the exact number of inputs of a line. */
  weigh(body: Body): { tokens: number; items: number };
  join(bodies: Body[]): Input;
  /** @throws ProviderFailure with code `invalid_output` when the output does not fit what was asked. */
  split(output: Output, bodies: Body[]): Output[];
}

export type Modality = 'text' | 'image' | 'audio' | 'video' | 'vector' | 'table' | 'labels' | 'regions';

/** A request that runs as it stands, on the sandbox. */
export interface Example {
  readonly model: string;
  readonly input: Readonly<Record<string, unknown>>;
  readonly options?: Readonly<Record<string, unknown>>;
}

export interface Kind<Body = unknown, Input = unknown, Output = unknown> {
  readonly id: string;
  readonly title: string;
  readonly modalities: { readonly in: readonly Modality[]; readonly out: readonly Modality[] };
  /** Path of OpenAI's API that carries this kind, also the `url` of its lines. Unset: `/v1/tasks` alone does. */
  readonly endpoint?: string;
  /** What is sent: `model`, `metadata`, and the fields of the input. */
  readonly body: z.ZodType<Body>;
  /** The same without `model` and `metadata`, for readers. */
  readonly input: z.ZodType;
  /** What is answered. */
  readonly output: z.ZodType;
  /** Answers up to so many bytes stand in the task's row; larger ones, and all media, go to the store. */
  readonly result: { readonly inlineBytes: number };
  readonly chunk: ChunkLimits;
  /** Time of one provider call, unless the request names another, up to `longestMs`. */
  readonly timeoutMs: number;
  readonly longestMs: number;
  /** Whether the answer can be had as it comes. */
  readonly streams: boolean;
  /** Lines that may share a call. Unset: each is a call of its own, and `toInput` makes its input. */
  readonly packing?: Packing<Body, Input, Output>;
  toInput(body: Body): Input;
  /** How much work a body is beside another of its kind, e.g. seconds of film × pixels. @default 1 */
  work?(body: Body): number;
  /** The media that a body holds, as sources. */
  media?(body: Body): MediaSlot[];
  /** About how many bytes the answer to a body takes; of a body that may break every rule, so that chunks can be cut. */
  readonly answerBytes: (body: Readonly<Record<string, unknown>>) => number;
  /** @throws ProviderFailure with code `invalid_output` when the output is not what the kind answers. */
  answer(output: Output, body: Body): Answer;
  /** At least one; complete and valid. */
  readonly examples: readonly [Example, ...Example[]];
}

/** Holds an entry's parts to each other's types. */
export function defineKind<Body, Input, Output>(kind: Kind<Body, Input, Output>): Kind<Body, Input, Output> {
  return kind;
}
