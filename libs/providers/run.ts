/** What a provider's handler gets for one call, and how it reports while the call runs. */
import type { InputOf, KindId, OutputOf } from '#catalogue';
import type { ProviderCredential } from './credential.ts';

/** A model and the credential to call it with. */
export interface ModelAccess {
  /** The model as the provider knows it: what follows `provider/` in the model's name. */
  readonly model: string;
  readonly credential: ProviderCredential;
}

export interface Call<K extends KindId> extends ModelAccess {
  readonly input: InputOf<K>;
}

/** Progress as the upstream reports it. Values that it does not report are absent, never estimated. */
export interface Progress {
  /** 0 to 100. */
  readonly percent?: number;
  /** Position in the upstream's own queue; 0 is next. */
  readonly queuePosition?: number;
  /** What the upstream is doing, for example `loading` or `rendering`. */
  readonly stage?: string;
  /** The newest line of its log. */
  readonly log?: string;
}

/** One part of a streamed text: what is new in one choice. */
export interface Delta {
  /** Index of the choice. @default 0 */
  readonly index?: number;
  readonly text?: string;
  /** In the format of OpenAI's chunks. Indexes are positions in the answer, not those of the upstream. */
  readonly toolCalls?: readonly object[];
  readonly finishReason?: string | null;
  /** Other fields of the delta, for example `reasoning_content` or `refusal`, as the upstream sent them. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Other fields of the choice, for example `logprobs`. */
  readonly choice?: Readonly<Record<string, unknown>>;
  /** Other fields of the chunk, for example `system_fingerprint`. */
  readonly chunk?: Readonly<Record<string, unknown>>;
}

export interface Run {
  /** Aborted when the work is cancelled, times out, or is claimed by another attempt. */
  readonly signal: AbortSignal;
  /** Sent as an update: coalesced, and may be dropped. */
  reportProgress(progress: Progress): void;
  /** Numbered and kept in order. Called if the input says `stream: true`; has no effect otherwise. */
  stream(delta: Delta): void;
  /** Id of the upstream run that an earlier attempt started. The handler resumes it and does not start another. */
  readonly resume?: string;
  /** Settles once the id is stored. Awaited before the first poll. @throws if the attempt no longer owns the work. */
  saveRunId(runId: string): Promise<void>;
}

/** @throws ProviderFailure, translated from the upstream's error. */
export type Handler<K extends KindId> = (call: Call<K>, run: Run) => Promise<OutputOf<K>>;
