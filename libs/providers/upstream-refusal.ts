/** An error that an upstream reported, before a provider's folder translates it. */

export interface UpstreamError {
  readonly status: number;
  /** The provider's own error message. */
  readonly message: string;
  readonly code?: string | null;
  readonly param?: string | null;
  /** From the body. A `Retry-After` header takes precedence. */
  readonly retryAfterMs?: number | null;
  readonly headers: { get(name: string): string | null | undefined } | null;
  readonly cause?: unknown;
}

/** The server answered with an error: as a status, or in a body behind a 200. */
export class UpstreamRefusal extends Error {
  constructor(readonly reported: UpstreamError) {
    super(reported.message);
    this.name = 'UpstreamRefusal';
  }
}

/** The server sent more than is read. */
export class AnswerTooLarge extends Error {
  constructor(maxBytes: number) {
    super(`it is larger than ${maxBytes / 2 ** 20} MiB`);
    this.name = 'AnswerTooLarge';
  }
}
