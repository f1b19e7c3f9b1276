/** Deliveries as an endpoint's owner sees them: listed with their tries, asked for again, made for events of the past. */
import type { DeliveryListQuery, ReplayBody } from '@millrace/contracts';
import { Conflict, NotFound } from '#domain';
import type { Database, Transaction } from '../database.ts';
import { DeliveryAttemptRow, type DeliveryRow, type WebhookEndpointRow } from '../entities/index.ts';
import { matchesType, wantsEvent } from '../statements/match-event.sql.ts';
import { loadWebhookEndpoint } from './webhook-endpoint.store.ts';

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

const columns = `d.id, d.endpoint_id as "endpointId", d.event_id as "eventId", d.subject, d.status, d.tries,
  d.created_at as "createdAt", d.next_try_at as "nextTryAt", d.finished_at as "finishedAt", d.error_code as "errorCode",
  f.type as "eventType", f.created_at as "eventAt", f.data as "eventData"`;
const source = 'deliveries d join events f on f.id = d.event_id';

/** A delivery is asked for again: its schedule begins anew; its number of tries goes on. */
const anew = `status = 'pending', step = 0, next_try_at = clock_timestamp(), finished_at = null, error_code = null,
  leased_by = null, leased_until = null`;

/** Events that one replay looks at. */
const page = 10_000;

export class DeliveryLogStore {
  constructor(private readonly database: Database) {}

  /** One row more than `limit` where there are more. @throws NotFound where there is no such endpoint. */
  list(workspaceId: string, endpointId: string, query: DeliveryListQuery): Promise<ListedDelivery[]> {
    const beyond = query.order === 'asc' ? '>' : '<';
    return this.database.withWorkspace(workspaceId, async (tx) => {
      await loadWebhookEndpoint(tx, workspaceId, endpointId);
      return tx.query(
        `select ${columns} from ${source}
         where d.endpoint_id = $1 and ($2::text is null or d.id ${beyond} $2) and ($3::text is null or d.status = $3)
         order by d.id ${query.order} limit $4`,
        [endpointId, query.after ?? null, query.status ?? null, query.limit + 1],
      );
    });
  }

  /** With its tries, oldest first. @throws NotFound */
  get(
    workspaceId: string,
    endpointId: string,
    id: string,
  ): Promise<{ delivery: ListedDelivery; attempts: DeliveryAttemptRow[] }> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      const delivery = await load(tx, workspaceId, endpointId, id);
      const attempts = await tx
        .getRepository(DeliveryAttemptRow)
        .find({ where: { deliveryId: id }, order: { number: 'asc' } });
      return { delivery, attempts };
    });
  }

  /** Sends one again, now. @throws NotFound; Conflict where its endpoint is disabled. */
  redeliver(workspaceId: string, endpointId: string, id: string): Promise<ListedDelivery> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      assertEnabled(await loadWebhookEndpoint(tx, workspaceId, endpointId));
      // One that is being tried at this moment is left to that.
      await tx.query(
        `update deliveries set ${anew}
         where id = $1 and endpoint_id = $2 and (status <> 'pending' or leased_until is null or leased_until < clock_timestamp())`,
        [id, endpointId],
      );
      return load(tx, workspaceId, endpointId, id);
    });
  }

  /** Sends again what failed and was created in this time. @returns how many. @throws NotFound, Conflict */
  redeliverFailed(
    workspaceId: string,
    endpointId: string,
    { since, until }: { since: number; until?: number | undefined },
  ): Promise<number> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      assertEnabled(await loadWebhookEndpoint(tx, workspaceId, endpointId));
      const [, count] = await tx.query<[unknown, number]>(
        `update deliveries set ${anew}
         where endpoint_id = $1 and status = 'failed' and created_at >= to_timestamp($2)
           and ($3::float8 is null or created_at < to_timestamp($3))`,
        [endpointId, since, until ?? null],
      );
      return count;
    });
  }

  /**
   * Makes deliveries for events of the past that the endpoint is subscribed to. An event that it was sent before keeps
   * its delivery, and so its `webhook-id`; it is sent again where it failed or where all are asked for.
   * @throws NotFound where there is no such endpoint, or no such event to go on from; Conflict
   */
  replay(workspaceId: string, endpointId: string, range: ReplayBody): Promise<ReplayResult> {
    return this.database.withWorkspace(workspaceId, async (tx) => {
      assertEnabled(await loadWebhookEndpoint(tx, workspaceId, endpointId));
      const after = await positionOf(tx, workspaceId, range.after);
      const [feed] = await tx.query<{ truncated: boolean }[]>(
        `select $2 < forgotten and coalesce(to_timestamp($3::float8) < forgotten_until, true) as truncated
         from feeds where workspace_id = $1`,
        [workspaceId, after, range.since ?? null],
      );
      const [done] = await tx.query<{ count: number; seen: number; last: string | null }[]>(replayed, [
        workspaceId,
        endpointId,
        after,
        range.since ?? null,
        range.until ?? null,
        range.event_types ?? null,
        range.include === 'all' ? ['succeeded', 'failed'] : ['failed'],
        page,
      ]);
      const { count, seen, last } = done!;
      return { count, hasMore: seen === page, lastEventId: last, isTruncated: feed?.truncated ?? false };
    });
  }
}

const replayed = `
  with range as materialized (
    select f.id, f.workspace_id, f.subject, f.type, f.feed_position
    from events f
    where f.workspace_id = $1 and f.feed_position > $3
      and ($4::float8 is null or f.created_at >= to_timestamp($4))
      and ($5::float8 is null or f.created_at < to_timestamp($5))
    order by f.feed_position
    limit $8
  ), made as (
    insert into deliveries as d (id, workspace_id, endpoint_id, event_id, subject, position, next_try_at)
    select delivery_id(), f.workspace_id, e.id, f.id, f.subject, f.feed_position, clock_timestamp()
    from range f join webhook_endpoints e on e.id = $2 and (e.subject is null or e.subject = f.subject)
    where ${wantsEvent('e', 'f')} and ($6::text[] is null or ${matchesType('$6::text[]', 'f.type')})
    on conflict (endpoint_id, event_id) do update set ${anew} where d.status = any($7::text[])
    returning 1
  )
  select (select count(*) from made) as count, (select count(*) from range) as seen,
    (select id from range order by feed_position desc limit 1) as last`;

async function positionOf(
  tx: Transaction,
  workspaceId: string,
  eventId: string | undefined,
): Promise<number> {
  if (eventId === undefined) return 0;
  const [event] = await tx.query<{ position: number }[]>(
    'select feed_position as position from events where id = $1 and workspace_id = $2 and feed_position is not null',
    [eventId, workspaceId],
  );
  if (event) return event.position;
  throw new NotFound('No such event, or it is no longer kept. Say from when on instead (since).', {
    code: 'event_not_found',
    param: 'after',
  });
}

async function load(
  tx: Transaction,
  workspaceId: string,
  endpointId: string,
  id: string,
): Promise<ListedDelivery> {
  const [found] = await tx.query<ListedDelivery[]>(
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
