/** What an attempt has used beside tokens and time, as its end is given it: one parameter of JSON. */

/** In billionths of a US dollar. Null: nobody said, or nothing is known of its price. */
type Cost = number | null;

export interface Metering {
  /** Tells the provider's token from its others; null where none was used. */
  readonly token: string | null;
  /** Null: as was counted when it was claimed. */
  readonly inputBytes: number | null;
  readonly outputBytes: number;
  readonly firstTokenMs: number | null;
  /** That were made. */
  readonly images: number;
  /** Of the sound and film that was made, or listened to. */
  readonly mediaMs: number;
  /** As the provider has said. */
  readonly reportedCost: Cost;
  /** Of how many requests it has said so. */
  readonly reportedRequests: number;
  /** By the table of prices, of all its requests. */
  readonly estimatedCost: Cost;
}

/** For the `from` of an attempt's update. */
export const meteringRecord = (parameter: string): string => `jsonb_to_record(${parameter}::jsonb) as m (
      token text, "inputBytes" bigint, "outputBytes" bigint, "firstTokenMs" int, images int, "mediaMs" bigint,
      "reportedCost" bigint, "reportedRequests" int, "estimatedCost" bigint)`;

/** For its `set`, where the attempt is `a`. */
export const meteringColumns = `token = m.token, input_bytes = coalesce(m."inputBytes", a.input_bytes),
      output_bytes = m."outputBytes", first_token_ms = m."firstTokenMs", images = m.images, media_ms = m."mediaMs",
      reported_cost = m."reportedCost", reported_requests = m."reportedRequests", estimated_cost = m."estimatedCost"`;
