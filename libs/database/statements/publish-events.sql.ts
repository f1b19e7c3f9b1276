/**
 * Gives committed facts their places in the feeds. `$1` name, `$2` holder, `$3` epoch of the relay's lease, `$4` how
 * many at most. One row: `held` (false: fenced, nothing was done), `deliveries` made, and `ranges`, one per
 * workspace that moved.
 *
 * - What is unstamped is asked for, never "what has a higher number than the last": a transaction that commits
 *   late would be passed over (3,200 facts of 31,180 in a trial).
 * - One statement, committed by the server alone: a relay that is frozen in the middle of it leaves no lock
 *   behind, which a transaction over several round trips would, for as long as the freeze lasts.
 * - The lease's row is locked until the commit, so nobody takes over in between. A second statement of the same
 *   tenure (a retry whose first try still ran) sees facts that the first has stamped; but the head of their feed
 *   has moved from where it saw it, so it moves nothing and stamps nothing.
 * - A subject's facts keep the order of its sequence even where their numbers do not.
 * - The deliveries of a fact are made by the statement that stamps it, for the endpoints that there are then: a fact
 *   has its place and its deliveries, or neither. The unique key on endpoint and event stands behind that.
 */
import { heldLease } from './leases.sql.ts';
import { wantsEvent } from './match-event.sql.ts';

export const publishEvents = `
  with held as materialized (
    select name from leases where ${heldLease} for update
  ),
  unstamped as materialized (
    select number, workspace_id, subject, sequence
    from events
    where feed_position is null and exists (select from held)
    order by number
    limit $4
  ),
  ranked as (
    select *, max(number) over (partition by subject order by sequence) as rank from unstamped
  ),
  placed as materialized (
    select ranked.number, ranked.workspace_id, coalesce(feeds.position, 0) as head,
      row_number() over (partition by ranked.workspace_id order by rank, sequence) as nth
    from ranked left join feeds on feeds.workspace_id = ranked.workspace_id
  ),
  moved as (
    insert into feeds as feed (workspace_id, position)
    select workspace_id, head + count(*) from placed group by workspace_id, head
    on conflict (workspace_id) do update set position = excluded.position
    where feed.position = (select head from placed where placed.workspace_id = feed.workspace_id limit 1)
    returning workspace_id, position
  ),
  stamped as (
    update events
    set feed_position = placed.head + placed.nth
    from placed join moved on moved.workspace_id = placed.workspace_id
    where events.number = placed.number
    returning events.id, events.workspace_id, events.subject, events.type, events.feed_position
  ),
  recipients as (
    select stamped.*, endpoint.id as endpoint_id from stamped
    join webhook_endpoints endpoint on endpoint.workspace_id = stamped.workspace_id and endpoint.subject is null
    where endpoint.disabled_at is null and ${wantsEvent('endpoint', 'stamped')}
    union all
    select stamped.*, endpoint.id from stamped join webhook_endpoints endpoint on endpoint.subject = stamped.subject
    where endpoint.disabled_at is null and ${wantsEvent('endpoint', 'stamped')}
  ),
  made as (
    insert into deliveries (id, workspace_id, endpoint_id, event_id, subject, position, next_try_at)
    select delivery_id(), workspace_id, endpoint_id, id, subject, feed_position, now() from recipients
    on conflict (endpoint_id, event_id) do nothing
    returning 1
  )
  select
    exists (select from held) as held,
    (select count(*) from made) as deliveries,
    coalesce(
      (select json_agg(json_build_object('workspaceId', workspace_id, 'from', first, 'to', last))
       from (select workspace_id, min(feed_position) as first, max(feed_position) as last from stamped group by 1) as ranges),
      '[]'
    ) as ranges`;
