/** Usage of attempts by the hour. A background job sums it; reads include what is not summed yet. */
import type { Database } from '../database.ts';
import {
  buildUsageQuery,
  listTokenUsage,
  rollUpUsage,
  type UsageGroup,
} from '../statements/roll-up-usage.sql.ts';

export type { UsageGroup } from '../statements/roll-up-usage.sql.ts';

/** Costs in billionths of a US dollar, times in ms. */
export interface UsageSums {
  readonly attempts: number;
  /** Requests and lines that were answered, with a result or an error. */
  readonly requests: number;
  readonly failedRequests: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly inputBytes: number;
  readonly outputBytes: number;
  readonly images: number;
  readonly mediaMs: number;
  readonly reportedCost: number;
  /** Number of requests for which the provider reported a cost. */
  readonly reportedRequests: number;
  readonly estimatedCost: number;
  readonly estimatedRequests: number;
  readonly queueMs: number;
  readonly upstreamMs: number;
  readonly storeMs: number;
  readonly firstTokenMs: number;
  /** Number of attempts whose first token was timed. */
  readonly firstTokenCount: number;
  /** Number of errors by code, of attempts and of lines. */
  readonly errors: Readonly<Record<string, number>>;
}

/** The sums of one bucket and group. Dimensions that are not grouped by are absent. */
export interface UsageRow extends UsageSums {
  /** Start of the bucket, in Unix seconds. */
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
  /** Range of whole buckets, in Unix seconds: `from` inclusive, `until` exclusive. */
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

const toDate = (seconds: number) => new Date(seconds * 1_000);

export class UsageStore {
  constructor(private readonly database: Database) {}

  /** Sums a page of entries. @returns how many; if it is `limit`, there may be more. */
  async rollUp(limit: number): Promise<number> {
    const [row] = await this.database.rows<{ n: number }>(rollUpUsage, [limit]);
    return row!.n;
  }

  /** @returns rows in the order of time, without empty buckets. */
  getUsage(workspaceId: string, query: UsageQuery): Promise<UsageRow[]> {
    const { from, until, unit, groupBy, models, providers, kinds, apiKeyIds, batch } = query;
    const filters = [models, providers, kinds, apiKeyIds, batch].map((filter) => filter ?? null);
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const parameters = [workspaceId, toDate(from), toDate(until), unit, ...filters];
      const rows = await transaction.rows<Record<string, unknown>>(buildUsageQuery(groupBy), parameters);
      return rows.map((row) => toCamelCase<UsageRow>(row));
    });
  }

  /** @returns the usage of every provider token, by all workspaces. @param since start of an hour. */
  async listTokenUsage(since: Date): Promise<TokenUsage[]> {
    const rows = await this.database.rows<Record<string, unknown>>(listTokenUsage, [since]);
    return rows.map((row) => toCamelCase<TokenUsage>(row));
  }
}

function toCamelCase<T>(row: Record<string, unknown>): T {
  const entries = Object.entries(row).map(([name, value]) => [
    name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase()),
    value,
  ]);
  return Object.fromEntries(entries) as T;
}
