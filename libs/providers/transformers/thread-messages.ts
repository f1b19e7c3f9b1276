/** Messages between the provider and its threads. They are copied, except for vectors, which are transferred. */

export type PoolingMode = 'mean' | 'cls' | 'max' | 'last';

/** All that a thread needs to run a model. Read once, from the model's own files. */
export interface ModelPlan {
  readonly model: string;
  /** Contains the model's files. */
  readonly folder: string;
  readonly dtype: string;
  readonly device: 'cpu' | 'cuda';
  readonly pooling: PoolingMode;
  /** Whether vectors are scaled to unit length. */
  readonly normalize: boolean;
  /** Longest text in tokens, special tokens included. */
  readonly maxTokens: number;
  /** Put before a text, according to its purpose. */
  readonly prompts: { readonly query: string; readonly passage: string; readonly other: string };
  /** false: the prompt's own tokens are left out of the pooling. */
  readonly poolsPrompt: boolean;
  readonly vocabSize: number | null;
  /** Size of one copy of its weights. */
  readonly bytes: number;
}

/** The best size of a micro-batch, measured when the model was loaded. */
export interface MicroBatch {
  /** Tokens, padding included. */
  readonly tokens: number;
  readonly items: number;
}

export interface ThreadOptions {
  /** 0: the runtime chooses. */
  readonly cpuThreads: number;
}

export interface EmbedJob {
  readonly type: 'embed';
  readonly model: string;
  readonly inputs: readonly (string | readonly number[])[];
  readonly purpose: 'query' | 'passage' | 'other';
  readonly dimensions: number | null;
}

export interface Embedded {
  /** All vectors, one after another. */
  readonly vectors: Float32Array;
  readonly width: number;
  /** Tokens that the model read, for each input. */
  readonly tokens: readonly number[];
  /** Whether the end was cut off, for each input. */
  readonly truncated: readonly boolean[];
}

/** `measured`: the result of an earlier load, so that the model is not measured again. */
export interface LoadJob {
  readonly type: 'load';
  readonly plan: ModelPlan;
  readonly measured: MicroBatch | null;
}

export interface UnloadJob {
  readonly type: 'unload';
  readonly model: string;
}

/** Frees all sessions; the thread then ends by itself. */
export interface CloseJob {
  readonly type: 'close';
}

export type Job = LoadJob | UnloadJob | EmbedJob;
export interface JobResults {
  load: MicroBatch;
  unload: null;
  embed: Embedded;
}

/** Why a job failed. The provider turns it into a failure. */
export interface ThreadError {
  readonly code:
    | 'model_damaged'
    | 'model_unsupported'
    | 'device_unavailable'
    | 'inference_failed'
    | 'invalid_tokens'
    | 'invalid_dimensions';
  readonly message: string;
}

export type Reply =
  | { readonly id: number; readonly result: JobResults[keyof JobResults] }
  | { readonly id: number; readonly error: ThreadError };
