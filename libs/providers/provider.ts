/** A provider is a table of handlers, one for each kind it can run; the table is its capability list. */
import type { InputOf, KindId, OutputOf } from '#catalogue';
import type { PackLimits, PolicyOverrides } from '#domain';

export interface Call<K extends KindId> {
  /** The model as the provider knows it: what follows `provider/` in the model's name. */
  readonly model: string;
  readonly input: InputOf<K>;
}

/** How far a call is, as the upstream says; what it doesn't say is left out and never made up. */
export interface Progress {
  /** 0 to 100. */
  readonly percent?: number;
  /** Place in the upstream's own queue, 0 being next. */
  readonly queuePosition?: number;
  /** What it does, e.g. `loading`, `rendering`. */
  readonly stage?: string;
  /** Its newest line of log. */
  readonly log?: string;
}

/** A piece of a streamed text: what is new of one choice. */
export interface Delta {
  /** The choice that it belongs to. @default 0 */
  readonly index?: number;
  readonly text?: string;
  /** Of models that show how they think. */
  readonly reasoning?: string;
  /** As OpenAI's chunks have them. */
  readonly toolCalls?: readonly object[];
  readonly finishReason?: string | null;
}

export interface Run {
  /** Aborted when the work is cancelled, out of time, or another attempt has taken it over. */
  readonly signal: AbortSignal;
  /** A signal: coalesced, and may be lost. */
  reportProgress(progress: Progress): void;
  /** Numbered and kept in order. To be called where the input says `stream: true`, and harmless elsewhere. */
  stream(delta: Delta): void;
  /** The upstream's id of the run that an earlier attempt began: to be gone on with, not begun again. */
  readonly resume?: string;
  /** Settles once the id is stored: to be awaited before the first poll. @throws when the attempt is void. */
  saveRunId(upstreamRunId: string): Promise<void>;
}

/** @throws ProviderFailure, translated from whatever the upstream said. */
export type Handler<K extends KindId> = (call: Call<K>, run: Run) => Promise<OutputOf<K>>;

/** A model that a provider holds in memory. */
export interface HostedModel {
  /** As the provider knows it. */
  readonly model: string;
  readonly state: 'loading' | 'ready' | 'failed';
  /** Of its weights; what a session needs on top of them is not counted. */
  readonly bytes: number;
  readonly device: string;
  readonly dtype: string;
  readonly usedAt: Date;
  readonly error?: { code: string; message: string };
}

/** A provider that keeps models in its own memory; others leave `models` out. */
export interface ModelHost {
  list(): HostedModel[];
  /** Loads it, and runs it once, in every slot. @throws ProviderFailure, InvalidInput */
  load(model: string): Promise<void>;
  unload(model: string): Promise<void>;
  close(): Promise<void>;
}

export interface Provider {
  /** What stands before the slash in a model's name. */
  readonly id: string;
  /** The pool whose workers run it unless a model says otherwise. */
  readonly pool: 'local' | 'remote';
  /** Tells the token that its calls are made with from others, without showing it: `fingerprint`. Unset: there is none. */
  readonly token?: string;
  /** Calls that a process may have under way at once, with those of every provider that has the same token. */
  readonly concurrency: number;
  /** The same for one model, where it has a bound of its own. */
  getModelConcurrency?(model: string): number | undefined;
  readonly handlers: { readonly [K in KindId]?: Handler<K> };
  /**
   * Whether a line of this model is paid for. Left out where none is. What was paid for is kept as it is finished, which
   * costs an object and a row every so often.
   */
  isBilled?(model: string): boolean;
  /** @throws InvalidInput when it can't serve this model, with what to use instead. */
  checkModel(model: string, kind?: KindId): void;
  /** Whether a model takes images where its kind allows them and does not need them; true where nobody says. @default true */
  acceptsImages?(model: string): boolean | Promise<boolean>;
  /** Models that it can name without being asked for one; none where it can't tell now. */
  listModels?(): string[] | Promise<string[]>;
  readonly models?: ModelHost;
  /** Bounds of one call (a micro-batch) where the provider knows better than the kind. */
  getPackLimits?(kind: KindId, model: string): Partial<PackLimits>;
  /**
   * Tells the upstream that nobody wants this run any more: of a task that ended while no worker had it.
   * @param run its id, as `remember` was given it. @throws ProviderFailure
   */
  cancelRun?(model: string, run: string): Promise<void>;
  /** Of the policy around its calls, what is to be otherwise. */
  readonly policy?: PolicyOverrides;
}
