/** Webhook deliveries as the sender handles them: lease, record attempts, disable an endpoint. */
import type { Database } from '../database.ts';
import { leaseDeliveries } from '../statements/lease-deliveries.sql.ts';
import { recordAttempts, recordHealth } from '../statements/record-attempts.sql.ts';
import { appendEvent } from '../transactions/append-event.ts';
import { failPendingDeliveries } from '../transactions/webhook-endpoints.ts';

export interface LeasedDelivery {
  readonly id: string;
  readonly workspaceId: string;
  readonly endpointId: string;
  readonly attemptCount: number;
  /** Step in the retry schedule: attempts since it was created or last redelivered. */
  readonly scheduleStep: number;
  readonly feedPosition: number;
  readonly event: { readonly id: string; readonly type: string; readonly data: { readonly id: string } };
  readonly eventAt: Date;
  readonly url: string;
  /** Of the endpoint. */
  readonly consecutiveFailures: number;
  /** The endpoint gets its events in order: the next delivery waits for this one. */
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
  /** Without secrets: owners can read them in the log. */
  readonly requestHeaders: Readonly<Record<string, string>>;
  readonly status: number | null;
  readonly responseHeaders: Readonly<Record<string, string>> | null;
  readonly responseBody: string | null;
  readonly responseTruncated: boolean;
  readonly errorCode: string | null;
  readonly errorMessage: string | null;
  /** pending: the delivery is retried at `nextAttemptAt`. */
  readonly outcome: 'succeeded' | 'failed' | 'pending';
  readonly nextAttemptAt: Date | null;
  /** Seconds without deliveries that the receiver asked for. */
  readonly pauseS: number;
}

export interface LeaseRequest {
  readonly holder: string;
  readonly leaseS: number;
  /** Maximum number of deliveries in total, and for endpoints that failed recently. */
  readonly limit: number;
  readonly failingLimit: number;
  /** Maximum number of deliveries in progress per endpoint. */
  readonly endpointCapacity: number;
  /** The remaining capacity of endpoints that the holder already sends to. */
  readonly remainingCapacity: ReadonlyMap<string, number>;
}

export interface DeliveryOptions {
  /** A test's clock; the database's clock by default. */
  readonly now?: () => Date;
  /** Consecutive failures that open an endpoint's breaker. */
  readonly breakerThreshold?: number;
  readonly breakerMaxS?: number;
}

/**
 * Seconds without a failure after which `failing_since` starts again: the longest wait of the retry schedule and some
 * hours, so that an endpoint with few events counts as failing between them.
 */
const failingResetS = 30 * 3_600;

export class DeliveryStore {
  private readonly now: () => Date | null;
  private readonly breakerThreshold: number;
  private readonly breakerMaxS: number;

  constructor(
    private readonly database: Database,
    { now, breakerThreshold = 5, breakerMaxS = 30 }: DeliveryOptions = {},
  ) {
    this.now = now ?? (() => null);
    this.breakerThreshold = breakerThreshold;
    this.breakerMaxS = breakerMaxS;
  }

  /** Leases deliveries that are due. */
  lease(request: LeaseRequest): Promise<LeasedDelivery[]> {
    const { holder, leaseS, limit, failingLimit, endpointCapacity, remainingCapacity } = request;
    return this.database.rows<LeasedDelivery>(leaseDeliveries, [
      holder,
      this.now(),
      leaseS,
      limit,
      failingLimit,
      endpointCapacity,
      [...remainingCapacity.keys()],
      [...remainingCapacity.values()],
      this.breakerThreshold,
    ]);
  }

  /** Records attempts and updates their endpoints' breakers. @returns the endpoints that failed, and since when each fails. */
  async recordAttempts(
    holder: string,
    attempts: readonly DeliveryAttempt[],
  ): Promise<{ id: string; failingSince: Date }[]> {
    // A response may contain NUL, which Postgres cannot store in text.
    const json = JSON.stringify(attempts).replaceAll('\\u0000', '');
    await this.database.rows(recordAttempts, [json, holder]);
    const health = [...Map.groupBy(attempts, ({ endpointId }) => endpointId)].map(([id, ofEndpoint]) => ({
      id,
      succeeded: ofEndpoint.some(({ outcome }) => outcome === 'succeeded'),
      failed: ofEndpoint.filter(({ outcome }) => outcome !== 'succeeded').length,
      pause: Math.max(...ofEndpoint.map(({ pauseS }) => pauseS)),
    }));
    return this.database.rows<{ id: string; failingSince: Date }>(recordHealth, [
      health.map(({ id }) => id),
      health.map(({ succeeded }) => succeeded),
      health.map(({ failed }) => failed),
      this.now(),
      this.breakerThreshold,
      this.breakerMaxS,
      failingResetS,
      health.map(({ pause }) => pause),
    ]);
  }

  /**
   * Disables an endpoint, fails its pending deliveries, and appends an event to its owner's feed.
   * @returns false if it was disabled already, or does not exist.
   */
  disableEndpoint(endpointId: string, reason: 'gone' | 'failing'): Promise<boolean> {
    return this.database.asSystem(async (transaction) => {
      const [endpoint] = await transaction.rows<{
        workspaceId: string;
        sequence: number;
        name: string;
        since: Date | null;
      }>(
        `update webhook_endpoints
         set disabled_at = coalesce($3::timestamptz, clock_timestamp()), disabled_reason = $2, sequence = sequence + 1
         where id = $1 and disabled_at is null
         returning workspace_id as "workspaceId", sequence, name, failing_since as since`,
        [endpointId, reason, this.now()],
      );
      if (!endpoint) return false;
      await failPendingDeliveries(transaction, endpointId, this.now());
      await appendEvent(transaction, {
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

  /** Releases a holder's leases, so that other processes need not wait until they expire. */
  async release(holder: string): Promise<void> {
    await this.database.rows(
      `update deliveries set leased_by = null, leased_until = null where leased_by = $1 and status = 'pending'`,
      [holder],
    );
  }
}
