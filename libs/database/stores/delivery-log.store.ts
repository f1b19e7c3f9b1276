/** Webhook deliveries as an endpoint's owner sees them: list, get, redeliver, and replay of past events. */
import type { DeliveryListQuery, ReplayBody } from '@millrace/contracts';
import { Conflict, NotFound } from '#domain';
import type { Database } from '../database.ts';
import { DeliveryAttemptRow, type DeliveryRow, type WebhookEndpointRow } from '../entities/index.ts';
import { redelivery, replayEvents } from '../statements/replay-events.sql.ts';
import type { Transaction } from '../transaction.ts';
import { loadWebhookEndpoint } from '../transactions/webhook-endpoints.ts';

export type ListedDelivery = Pick<
  DeliveryRow,
  | 'id'
  | 'endpointId'
  | 'eventId'
  | 'subject'
  | 'status'
  | 'attemptCount'
  | 'createdAt'
  | 'nextAttemptAt'
  | 'finishedAt'
  | 'errorCode'
> & {
  readonly eventType: string;
  readonly eventAt: Date;
  readonly eventData: { readonly id: string };
};

export interface ReplayResult {
  readonly count: number;
  readonly hasMore: boolean;
  readonly lastEventId: string | null;
  readonly isTruncated: boolean;
}

const columns = `d.id, d.endpoint_id as "endpointId", d.event_id as "eventId", d.subject, d.status,
  d.attempt_count as "attemptCount", d.created_at as "createdAt", d.next_attempt_at as "nextAttemptAt",
  d.finished_at as "finishedAt", d.error_code as "errorCode",
  e.type as "eventType", e.created_at as "eventAt", e.data as "eventData"`;
const source = 'deliveries d join events e on e.id = d.event_id';

/** Maximum number of events per replay. */
const replayPageSize = 10_000;

export class DeliveryLogStore {
  constructor(private readonly database: Database) {}

  /** @returns at most `limit` + 1 deliveries, so that the caller knows if there are more. @throws NotFound for an unknown endpoint. */
  list(workspaceId: string, endpointId: string, query: DeliveryListQuery): Promise<ListedDelivery[]> {
    const beyond = query.order === 'asc' ? '>' : '<';
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      await loadWebhookEndpoint(transaction, workspaceId, endpointId);
      return transaction.rows<ListedDelivery>(
        `select ${columns} from ${source}
         where d.endpoint_id = $1 and ($2::text is null or d.id ${beyond} $2) and ($3::text is null or d.status = $3)
         order by d.id ${query.order} limit $4`,
        [endpointId, query.after ?? null, query.status ?? null, query.limit + 1],
      );
    });
  }

  /** @returns a delivery with its attempts, oldest first. @throws NotFound */
  get(
    workspaceId: string,
    endpointId: string,
    id: string,
  ): Promise<{ delivery: ListedDelivery; attempts: DeliveryAttemptRow[] }> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      const delivery = await loadDelivery(transaction, workspaceId, endpointId, id);
      const attempts = await transaction
        .repository(DeliveryAttemptRow)
        .find({ where: { deliveryId: id }, order: { number: 'asc' } });
      return { delivery, attempts };
    });
  }

  /** Sends a delivery again, now. @throws NotFound; Conflict if its endpoint is disabled. */
  redeliver(workspaceId: string, endpointId: string, id: string): Promise<ListedDelivery> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      assertEnabled(await loadWebhookEndpoint(transaction, workspaceId, endpointId));
      // A delivery that is leased is being sent already.
      await transaction.execute(
        `update deliveries set ${redelivery}
         where id = $1 and endpoint_id = $2 and (status <> 'pending' or leased_until is null or leased_until < clock_timestamp())`,
        [id, endpointId],
      );
      return loadDelivery(transaction, workspaceId, endpointId, id);
    });
  }

  /** Sends failed deliveries that were created in this time again. @returns how many. @throws NotFound, Conflict */
  redeliverFailed(
    workspaceId: string,
    endpointId: string,
    { since, until }: { since: number; until?: number | undefined },
  ): Promise<number> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      assertEnabled(await loadWebhookEndpoint(transaction, workspaceId, endpointId));
      return transaction.execute(
        `update deliveries set ${redelivery}
         where endpoint_id = $1 and status = 'failed' and created_at >= to_timestamp($2)
           and ($3::float8 is null or created_at < to_timestamp($3))`,
        [endpointId, since, until ?? null],
      );
    });
  }

  /**
   * Creates deliveries for past events that the endpoint subscribes to. An event with a delivery keeps it, and so its
   * `webhook-id`; it is sent again if it failed, or if `range.include` is `all`.
   * @throws NotFound for an unknown endpoint, or an unknown event in `range.after`; Conflict if the endpoint is disabled.
   */
  replay(workspaceId: string, endpointId: string, range: ReplayBody): Promise<ReplayResult> {
    return this.database.withWorkspace(workspaceId, async (transaction) => {
      assertEnabled(await loadWebhookEndpoint(transaction, workspaceId, endpointId));
      const after = await findFeedPosition(transaction, workspaceId, range.after);
      const [feed] = await transaction.rows<{ truncated: boolean }>(
        `select $2 < deleted_up_to_position
           and coalesce(to_timestamp($3::float8) < deleted_up_to_time, true) as truncated
         from feeds where workspace_id = $1`,
        [workspaceId, after, range.since ?? null],
      );
      const [done] = await transaction.rows<{ count: number; seen: number; last: string | null }>(
        replayEvents,
        [
          workspaceId,
          endpointId,
          after,
          range.since ?? null,
          range.until ?? null,
          range.event_types ?? null,
          range.include === 'all' ? ['succeeded', 'failed'] : ['failed'],
          replayPageSize,
        ],
      );
      const { count, seen, last } = done!;
      const isTruncated = feed?.truncated ?? false;
      return { count, hasMore: seen === replayPageSize, lastEventId: last, isTruncated };
    });
  }
}

async function findFeedPosition(
  transaction: Transaction,
  workspaceId: string,
  eventId: string | undefined,
): Promise<number> {
  if (eventId === undefined) return 0;
  const [event] = await transaction.rows<{ position: number }>(
    'select feed_position as position from events where id = $1 and workspace_id = $2 and feed_position is not null',
    [eventId, workspaceId],
  );
  if (event) return event.position;
  throw new NotFound('No such event, or it has expired. Give a start time in `since` instead.', {
    code: 'event_not_found',
    param: 'after',
  });
}

async function loadDelivery(
  transaction: Transaction,
  workspaceId: string,
  endpointId: string,
  id: string,
): Promise<ListedDelivery> {
  const [found] = await transaction.rows<ListedDelivery>(
    `select ${columns} from ${source} where d.id = $1 and d.endpoint_id = $2 and d.workspace_id = $3`,
    [id, endpointId, workspaceId],
  );
  if (!found) throw new NotFound('No such webhook delivery.', { code: 'webhook_delivery_not_found' });
  return found;
}

function assertEnabled({ disabledAt }: WebhookEndpointRow): void {
  if (disabledAt === null) return;
  throw new Conflict('This webhook endpoint is disabled. Enable it first: {"disabled": false}.', {
    code: 'webhook_endpoint_disabled',
  });
}
