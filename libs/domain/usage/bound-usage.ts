/** Bounds the usage that a provider reports, so that every sum of it fits its column and a JSON number. */

/** More than any call uses. A report above it is wrong, and counts as none. */
const maxPerCall = 1e12;

/** A million dollars. */
const maxCost = 1e6;

interface ReportedUsage {
  inputTokens: number;
  outputTokens: number;
  cost?: number;
  images?: number;
  seconds?: number;
}

/** @returns the usage with counts that are whole numbers from 0, and without a cost that can't be true. */
export function boundUsage<U extends ReportedUsage>({ cost, images, seconds, ...usage }: U): U {
  return {
    ...usage,
    inputTokens: toCount(usage.inputTokens),
    outputTokens: toCount(usage.outputTokens),
    ...(images !== undefined && { images: Math.min(toCount(images), 1e6) }),
    ...(seconds !== undefined && { seconds: seconds >= 0 && seconds < 1e9 ? seconds : 0 }),
    ...(cost !== undefined && cost >= 0 && cost <= maxCost && { cost }),
  } as unknown as U;
}

const toCount = (value: number): number => (value >= 0 && value <= maxPerCall ? Math.round(value) : 0);
