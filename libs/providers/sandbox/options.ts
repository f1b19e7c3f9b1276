/** The sandbox's options for delays and faults: from the model's suffix, or from a request's `metadata.sandbox`. */
import { z } from 'zod';
import { InvalidInput } from '#domain';

const optionsSchema = z.strictObject({
  /** Time of a call in ms. */
  delay_ms: z.number().min(0).max(3_600_000).optional(),
  /** Added to it for each input. */
  item_ms: z.number().min(0).max(60_000).optional(),
  /** Time of each word of a text in ms. */
  token_ms: z.number().min(0).max(60_000).optional(),
  /** Number of words in a text. */
  tokens: z.int().min(1).max(100_000).optional(),
  /** How progress is reported: in percent, by queue position for the first half of the time, or not at all. */
  progress: z.enum(['percent', 'queue', 'none']).optional(),
  /** Every call fails with this status. */
  status: z.int().min(400).max(599).optional(),
  /** Share of calls that fail with 503. A retry may succeed. */
  flaky: z.number().min(0).max(1).optional(),
  /** Any call with an input that contains this text fails with 400. */
  reject: z.string().min(1).optional(),
});

export type SandboxOptions = z.output<typeof optionsSchema>;

export const suffixes: Record<string, SandboxOptions> = {
  slow: { delay_ms: 20, item_ms: 1 },
  flaky: { flaky: 0.2 },
  /** Its lines count as billed. */
  paid: {},
  hang: { delay_ms: 600_000 },
  /** The model accepts no images. */
  blind: {},
  '400': { status: 400 },
  '401': { status: 401 },
  '429': { status: 429 },
  '500': { status: 500 },
  '503': { status: 503 },
};

/** @throws InvalidInput if `metadata.sandbox` is not valid. */
export function parseOptions(
  model: string,
  metadata: Record<string, string> | null | undefined,
): SandboxOptions {
  const suffix = model.split(':')[1] ?? '';
  const suffixOptions = Object.hasOwn(suffixes, suffix) ? suffixes[suffix]! : {};
  const text = metadata?.['sandbox'];
  if (text === undefined) return suffixOptions;
  try {
    return { ...suffixOptions, ...optionsSchema.parse(JSON.parse(text)) };
  } catch {
    throw new InvalidInput(
      `metadata.sandbox must be JSON with any of: ${Object.keys(optionsSchema.shape).join(', ')}.`,
      { param: 'metadata.sandbox' },
    );
  }
}
