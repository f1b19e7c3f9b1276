/** What attempts have used, by the hour: summed by a duty, read with what is not summed yet. */
import type { Database } from '../database.ts';
import {
  listTokenUsage,
  buildUsageQuery,
  rollUpUsage,
  type UsageGroup,
} from '../statements/roll-up-usage.sql.ts';

export type { UsageGroup } from '../statements/roll-up-usage.sql.ts';

/** Costs in billionths of a US dollar, times in ms. */
export interface UsageSums {
  readonly attempts: number;
  /** Requests and lines that were answered, well or not. */
  readonly requests: number;
  readonly failedRequests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly images: number;
  readonly mediaMs: number;
  readonly reportedCost: number;
  /** Of how many requests the provider has said what they cost. */
  readonly reportedRequests: number;
  readonly estimatedCost: number;
  readonly estimatedRequests: number;
  readonly queueMs: number;
  readonly upstreamMs: number;
  readonly storeMs: number;
  readonly firstTokenMs: number;
  /** Attempts whose first token was timed. */
  readonly firstTokenCount: number;
  /** How often each error was met, by attempts and by lines. */
  readonly errors: Readonly<Record<string, number>>;
}

/** Sums of one bucket and group; what is not grouped by is not there. */
export interface UsageRow extends UsageSums {
  /** Of its bucket, in Unix seconds. */
  readonly start: number;
  readonly model?: string;
  readonly provider?: string;
  readonly kind?: string;
  readonly apiKeyId?: string;
  readonly isBatch?: boolean;
  readonly token?: string;
}

export interface TokenUsage extends UsageSums {
  readonly provider: string;
  readonly token: string;
}

export interface UsageQuery {
  /** Whole buckets, in Unix seconds: from, until before. */
  readonly from: number;
  readonly until: number;
  readonly unit: 'hour' | 'day';
  readonly groupBy: readonly UsageGroup[];
  readonly models?: readonly string[] | undefined;
  readonly providers?: readonly string[] | undefined;
  readonly kinds?: readonly string[] | undefined;
  readonly apiKeyIds?: readonly string[] | undefined;
  readonly batch?: boolean | undefined;
}

const time = (seconds: number) => new Date(seconds * 1_000);

export class UsageStore {
  constructor(private readonly database: Database) {}

  /** Sums a page of what has ended. @returns how many attempts it was, `limit` at most: then there may be more. */
  async rollUp(limit: number): Promise<number> {
    const [row] = await this.database.rows<{ n: number }>(rollUpUsage, [limit]);
    return row!.n;
  }

  /** In the order of time; buckets in which nothing ended are left out. */
  getUsage(workspaceId: string, query: UsageQuery): Promise<UsageRow[]> {
    const { from, until, unit, groupBy, models, providers, kinds, apiKeyIds, batch } = query;
    const filters = [models, providers, kinds, apiKeyIds, batch].map((filter) => filter ?? null);
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const parameters = [workspaceId, time(from), time(until), unit, ...filters];
      const rows = await tx.query<Record<string, unknown>[]>(buildUsageQuery(groupBy), parameters);
      return rows.map((row) => inCamelCase<UsageRow>(row));
    });
  }

  /** What every provider's tokens were used for, whoever used them. @param since the beginning of an hour. */
  async listTokenUsage(since: Date): Promise<TokenUsage[]> {
    const rows = await this.database.rows<Record<string, unknown>>(listTokenUsage, [since]);
    return rows.map((row) => inCamelCase<TokenUsage>(row));
  }
}

function inCamelCase<T>(row: Record<string, unknown>): T {
  const named = Object.entries(row).map(([name, value]) => [
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(named) as T;
}
