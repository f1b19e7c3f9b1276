/**
 * Publishes committed events: assigns their feed positions and creates their webhook deliveries. `$1` name, `$2` holder,
 * `$3` epoch of the relay's lease, `$4` maximum number of events. Returns one row: `held` (false: the lease is not held,
 * nothing was done), the number of `deliveries` created, and `ranges`, one for each workspace with new positions.
 *
 * - The statement selects events without a position, not "events after the last number": a transaction that commits late
 *   would be skipped (3,200 of 31,180 events in a test).
 * - It is one statement, committed by the server alone. A relay that is frozen in the middle leaves no lock behind; a
 *   transaction of several round trips would keep its locks for as long as the freeze lasts.
 * - The lease's row stays locked until the commit, so no other relay takes over in between. A second statement under the
 *   same lease (a retry while the first still ran) sees events that the first has published, but the head of their feed
 *   is no longer where it saw it, so it publishes nothing.
 * - Events of a subject keep the order of its sequence, even where their numbers have another order.
 * - Deliveries are created by the same statement, for the endpoints that exist then: an event has its position and its
 *   deliveries, or neither. The unique key on endpoint and event is the safety net.
 */
import { heldLease } from './leases.sql.ts';
import { matchesEvent } from './match-event.sql.ts';

export const publishEvents = `
  with held as materialized (
    select name from leases where ${heldLease} for update
  ),
  unpublished as materialized (
    select number, workspace_id, subject, sequence
    from events
    where feed_position is null and exists (select from held)
    order by number
    limit $4
  ),
  ranked as (
    select *, max(number) over (partition by subject order by sequence) as rank from unpublished
  ),
  ordered as materialized (
    select ranked.number, ranked.workspace_id, coalesce(feeds.position, 0) as head,
      row_number() over (partition by ranked.workspace_id order by rank, sequence) as nth
    from ranked left join feeds on feeds.workspace_id = ranked.workspace_id
  ),
  advanced as (
    insert into feeds as feed (workspace_id, position)
    select workspace_id, head + count(*) from ordered group by workspace_id, head
    on conflict (workspace_id) do update set position = excluded.position
    where feed.position = (select head from ordered where ordered.workspace_id = feed.workspace_id limit 1)
    returning workspace_id, position
  ),
  published as (
    update events
    set feed_position = ordered.head + ordered.nth
    from ordered join advanced on advanced.workspace_id = ordered.workspace_id
    where events.number = ordered.number
    returning events.id, events.workspace_id, events.subject, events.type, events.feed_position
  ),
  recipients as (
    select published.*, endpoint.id as endpoint_id from published
    join webhook_endpoints endpoint on endpoint.workspace_id = published.workspace_id and endpoint.subject is null
    where endpoint.disabled_at is null and ${matchesEvent('endpoint', 'published')}
    union all
    select published.*, endpoint.id from published join webhook_endpoints endpoint on endpoint.subject = published.subject
    where endpoint.disabled_at is null and ${matchesEvent('endpoint', 'published')}
  ),
  created as (
    insert into deliveries (id, workspace_id, endpoint_id, event_id, subject, feed_position, next_attempt_at)
    select delivery_id(), workspace_id, endpoint_id, id, subject, feed_position, now() from recipients
    on conflict (endpoint_id, event_id) do nothing
    returning 1
  )
  select
    exists (select from held) as held,
    (select count(*) from created) as deliveries,
    coalesce(
      (select json_agg(json_build_object('workspaceId', workspace_id, 'from', first, 'to', last))
       from (select workspace_id, min(feed_position) as first, max(feed_position) as last from published group by 1) as ranges),
      '[]'
    ) as ranges`;
