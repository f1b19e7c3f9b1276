/** What the providers' tokens have cost in a month, beside the credit that each has free. */
import type { CreditObject } from '@millrace/contracts';
import type { TokenUsage } from '#database';
import { billionthsPerDollar } from '#domain';
import { toUsd } from './to-usd.ts';
import { toCost } from './usage-page.ts';

const unused = {
  requests: 0,
  failedRequests: 0,
  reportedCost: 0,
  reportedRequests: 0,
  estimatedCost: 0,
  estimatedRequests: 0,
};

/** The start of the month in UTC, when free credit is renewed. */
export const getStartOfMonth = (time: Date): Date =>
  new Date(Date.UTC(time.getUTCFullYear(), time.getUTCMonth()));

/** Those in use, and those that were this month. */
export function buildCredits(
  used: readonly TokenUsage[],
  providers: readonly { readonly id: string; readonly token?: string | null }[],
  free: ReadonlyMap<string, number>,
  since: Date,
): CreditObject[] {
  const current = providers.flatMap(({ id: provider, token }) => (token ? [{ provider, token }] : []));
  const isCurrent = (one: { provider: string; token: string }) =>
    current.some(({ provider, token }) => provider === one.provider && token === one.token);
  const sumsOf = (one: { provider: string; token: string }) =>
    used.find(({ provider, token }) => provider === one.provider && token === one.token) ?? unused;
  return [
    ...current.map((one) => ({ ...one, active: true, sums: sumsOf(one) })),
    ...used.filter((one) => !isCurrent(one)).map((one) => ({ ...one, active: false, sums: one })),
  ].map(({ provider, token, active, sums }) => {
    const answered = sums.requests - sums.failedRequests;
    const freeUsd = free.get(provider) ?? null;
    const left = (cost: number, requests: number) =>
      freeUsd !== null && requests === answered
        ? toUsd(Math.round(freeUsd * billionthsPerDollar) - cost)
        : null;
    return {
      object: 'credit',
      ...{ provider, token, active },
      period_start: since.getTime() / 1_000,
      requests: sums.requests,
      cost: toCost(sums),
      free_credit_usd: freeUsd,
      remaining_usd: left(sums.reportedCost, sums.reportedRequests),
      estimated_remaining_usd: left(sums.estimatedCost, sums.estimatedRequests),
    };
  });
}
