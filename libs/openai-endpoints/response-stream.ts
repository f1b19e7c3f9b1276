/** A streamed response: what an endpoint sends for each piece of an output, and at its end. No I/O. */

/** A server-sent event. `data` is sent as JSON, a string as it is. */
export interface ResponseEvent {
  readonly event?: string;
  readonly data: object | string;
}

/** A piece of a streamed answer, as providers report it. */
export interface TextDelta {
  /** Index of the choice. @default 0 */
  readonly index?: number;
  readonly text?: string;
  readonly toolCalls?: readonly object[];
  readonly finishReason?: string | null;
  /** Other fields of the delta, for example `reasoning_content`. */
  readonly fields?: Readonly<Record<string, unknown>>;
  /** Other fields of the choice, for example `logprobs`. */
  readonly choice?: Readonly<Record<string, unknown>>;
  /** Other fields of the chunk, for example `system_fingerprint`. */
  readonly chunk?: Readonly<Record<string, unknown>>;
}

/** What the bus delivers: a delta of an attempt, or notice that some were missed. */
export type StreamedItem =
  | { readonly kind: 'delta'; readonly attempt: number; readonly delta: unknown }
  | { readonly kind: 'gap' | 'resync' | 'end'; readonly attempt: number };

export interface StreamError {
  readonly message: string;
  readonly type: string;
  readonly param: string | null;
  readonly code: string | null;
}

export interface ResponseStream {
  begin(): ResponseEvent[];
  addItem(item: StreamedItem): ResponseEvent[];
  /** @param output the whole output; sends what the items did not contain. */
  complete(output: unknown): ResponseEvent[];
  fail(error: StreamError): ResponseEvent[];
}
