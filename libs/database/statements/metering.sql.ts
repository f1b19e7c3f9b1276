/** What an attempt used besides tokens and time, written at its end from one JSON parameter. */

/** In billionths of a US dollar. Null: the cost or the price is unknown. */
type Cost = number | null;

export interface Metering {
  /** Identifies which of the provider's tokens was used; null where none was. */
  readonly token: string | null;
  /** Null: keep the count from the claim. */
  readonly inputBytes: number | null;
  readonly outputBytes: number;
  readonly firstTokenMs: number | null;
  /** Images generated. */
  readonly images: number;
  /** Duration of the audio and video generated or transcribed. */
  readonly mediaMs: number;
  /** As the provider reported it. */
  readonly reportedCost: Cost;
  /** Number of requests for which the provider reported a cost. */
  readonly reportedRequests: number;
  /** Estimated from the price table, for all requests. */
  readonly estimatedCost: Cost;
}

/** The parameter as a record `m`, for the `from` of an attempt's update. */
export const meteringRecord = (parameter: string): string => `jsonb_to_record(${parameter}::jsonb) as m (
      token text, "inputBytes" bigint, "outputBytes" bigint, "firstTokenMs" int, images int, "mediaMs" bigint,
      "reportedCost" bigint, "reportedRequests" int, "estimatedCost" bigint)`;

/** The assignments for the `set` of that update; the attempt's alias is `a`. */
export const meteringColumns = `token = m.token, input_bytes = coalesce(m."inputBytes", a.input_bytes),
      output_bytes = m."outputBytes", first_token_ms = m."firstTokenMs", images = m.images, media_ms = m."mediaMs",
      reported_cost = m."reportedCost", reported_requests = m."reportedRequests", estimated_cost = m."estimatedCost"`;
