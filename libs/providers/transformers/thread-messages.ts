/** What the provider and its threads say to each other. All of it is copied between them; vectors are handed over. */

export type PoolingMode = 'mean' | 'cls' | 'max' | 'last';

/** All that a thread has to know of a model: read once, from the model's own files. */
export interface ModelPlan {
  readonly model: string;
  /** Where its files lie. */
  readonly folder: string;
  readonly dtype: string;
  readonly device: 'cpu' | 'cuda';
  readonly pooling: PoolingMode;
  /** Vectors are given unit length. */
  readonly normalize: boolean;
  /** Longest text, in tokens, special ones included. */
  readonly maxTokens: number;
  /** Put before a text, by what it is for. */
  readonly prompts: { readonly query: string; readonly passage: string; readonly other: string };
  /** false: the prompt's own tokens are left out of the pooling. */
  readonly poolsPrompt: boolean;
  readonly vocabSize: number | null;
  /** Bytes of its weights, of one copy. */
  readonly bytes: number;
}

/** The best micro-batch that was measured when the model was loaded. */
export interface MicroBatch {
  /** Tokens, padding included. */
  readonly tokens: number;
  readonly items: number;
}

export interface ThreadOptions {
  /** 0: the runtime's own choice. */
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
  /** One vector after the other. */
  readonly vectors: Float32Array;
  readonly width: number;
  /** Tokens that the model read, of each input. */
  readonly tokens: readonly number[];
  /** Inputs of which the end was cut off. */
  readonly truncated: readonly boolean[];
}

/** `measured`: what an earlier load found out, so that it is not measured again. */
export interface LoadJob {
  readonly type: 'load';
  readonly plan: ModelPlan;
  readonly measured: MicroBatch | null;
}

export interface UnloadJob {
  readonly type: 'unload';
  readonly model: string;
}

/** Gives everything back; the thread ends by itself. */
export interface CloseJob {
  readonly type: 'close';
}

export type Job = LoadJob | UnloadJob | EmbedJob;
export interface JobResults {
  load: MicroBatch;
  unload: null;
  embed: Embedded;
}

/** Why a thread could not; the provider makes a failure of it. */
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
  | { readonly id: number; readonly answer: JobResults[keyof JobResults] }
  | { readonly id: number; readonly refusal: ThreadError };
