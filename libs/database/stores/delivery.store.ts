/** Deliveries on their way: leased by whoever sends, ended or put off by what came of it. For the sender alone. */
import type { Database } from '../database.ts';
import { leaseDeliveries } from '../statements/lease-deliveries.sql.ts';
import { recordAttempts, recordHealth } from '../statements/record-attempts.sql.ts';
import { failPendingDeliveries } from './webhook-endpoint.store.ts';
import { appendEvent } from './feed.store.ts';

export interface LeasedDelivery {
  readonly id: string;
  readonly workspaceId: string;
  readonly endpointId: string;
  readonly attemptCount: number;
  /** Tries since it was last asked for: its place in the schedule. */
  readonly scheduleStep: number;
  readonly feedPosition: number;
  readonly event: { readonly id: string; readonly type: string; readonly data: { readonly id: string } };
  readonly eventAt: Date;
  readonly url: string;
  /** The endpoint's, in a row. */
  readonly consecutiveFailures: number;
  /** Its end lets another one of the endpoint go. */
  readonly isOrdered: boolean;
  readonly secretSealed: Buffer;
  readonly oldSecretSealed: Buffer | null;
  readonly headersSealed: Buffer | null;
}

export interface DeliveryAttempt {
  readonly deliveryId: string;
  readonly endpointId: string;
  readonly startedAt: Date;
  readonly durationMs: number;
  readonly url: string;
  /** As they may be shown. */
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly status: number | null;
  readonly responseHeaders: Readonly<Record<string, string>> | null;
  readonly responseBody: string | null;
  readonly responseTruncated: boolean;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  /** pending: it is tried again, at `nextTryAt`. */
  readonly outcome: 'succeeded' | 'failed' | 'pending';
  readonly nextAttemptAt: Date | null;
  /** The receiver asked for so many seconds without deliveries. */
  readonly pauseS: number;
}

export interface LeaseRequest {
  readonly holder: string;
  readonly leaseS: number;
  /** Deliveries in all, and of those for endpoints that failed lately. */
  readonly limit: number;
  readonly failingLimit: number;
  /** Deliveries of one endpoint. */
  readonly endpointCapacity: number;
  /** Of endpoints that the holder sends to already: what room is left. */
  readonly remainingCapacity: ReadonlyMap<string, number>;
}

export interface DeliveryOptions {
  /** A test's clock; the database's otherwise. */
  readonly now?: () => Date;
  /** Failures in a row after which an endpoint's breaker opens. */
  readonly breakerThreshold?: number;
  readonly breakerMaxS?: number;
}

/** The longest wait of the schedule and some hours: an endpoint that gets few events is not failing in between. */
const failingAnewS = 30 * 3_600;

export class DeliveryStore {
  private readonly now: () => Date | null;
  private readonly breakerAfter: number;
  private readonly breakerMaxS: number;

  constructor(
    private readonly database: Database,
    { now, breakerThreshold = 5, breakerMaxS = 30 }: DeliveryOptions = {},
  ) {
    this.now = now ?? (() => null);
    this.breakerAfter = breakerThreshold;
    this.breakerMaxS = breakerMaxS;
  }

  async lease({
    holder,
    leaseS,
    limit,
    failingLimit,
    endpointCapacity,
    remainingCapacity,
  }: LeaseRequest): Promise<LeasedDelivery[]> {
    const [rows] = (await this.database.rows(leaseDeliveries, [
      holder,
      this.now(),
      leaseS,
      limit,
      failingLimit,
      endpointCapacity,
      [...remainingCapacity.keys()],
      [...remainingCapacity.values()],
      this.breakerAfter,
    ])) as unknown as [LeasedDelivery[], number];
    return rows;
  }

  /** @returns the endpoints that failed, and since when each has. */
  async recordAttempts(
    holder: string,
    tries: readonly DeliveryAttempt[],
  ): Promise<{ id: string; failingSince: Date }[]> {
    // A receiver's bytes may hold what Postgres's text can't.
    const json = JSON.stringify(tries).replaceAll('\\u0000', '');
    await this.database.rows(recordAttempts, [json, holder]);
    const fared = [...Map.groupBy(tries, ({ endpointId }) => endpointId)].map(([id, of]) => ({
      id,
      succeeded: of.some(({ outcome }) => outcome === 'succeeded'),
      failed: of.filter(({ outcome }) => outcome !== 'succeeded').length,
      pause: Math.max(...of.map(({ pauseS }) => pauseS)),
    }));
    const [rows] = (await this.database.rows(recordHealth, [
      fared.map(({ id }) => id),
      fared.map(({ succeeded }) => succeeded),
      fared.map(({ failed }) => failed),
      this.now(),
      this.breakerAfter,
      this.breakerMaxS,
      failingAnewS,
      fared.map(({ pause }) => pause),
    ])) as unknown as [{ id: string; failingSince: Date }[], number];
    return rows;
  }

  /**
   * No more deliveries to an endpoint; those that wait end as failed, and its owner's feed says so.
   * @returns false where it was disabled already, or is gone.
   */
  disableEndpoint(endpointId: string, reason: 'gone' | 'failing'): Promise<boolean> {
    return this.database.asSystem(async (tx) => {
      const [rows] = await tx.query<
        [{ workspaceId: string; sequence: number; name: string; since: Date | null }[], number]
      >(
        `update webhook_endpoints
         set disabled_at = coalesce($3::timestamptz, clock_timestamp()), disabled_reason = $2, sequence = sequence + 1
         where id = $1 and disabled_at is null
         returning workspace_id as "workspaceId", sequence, name, failing_since as since`,
        [endpointId, reason, this.now()],
      );
      const endpoint = rows[0];
      if (!endpoint) return false;
      await failPendingDeliveries(tx, endpointId, this.now());
      await appendEvent(tx, {
        workspaceId: endpoint.workspaceId,
        subject: endpointId,
        sequence: endpoint.sequence,
        type: 'webhook_endpoint.disabled',
        terminal: false,
        data: {
          id: endpointId,
          name: endpoint.name,
          reason,
          failing_since: endpoint.since && Math.floor(endpoint.since.getTime() / 1_000),
        },
      });
      return true;
    });
  }

  /** Gives back what is leased and will not be sent: the others need not wait for the leases' end. */
  async release(holder: string): Promise<void> {
    await this.database.rows(
      `update deliveries set leased_by = null, leased_until = null where leased_by = $1 and status = 'pending'`,
      [holder],
    );
  }
}
