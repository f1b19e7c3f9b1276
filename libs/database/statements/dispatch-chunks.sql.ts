import { chunkCost } from './claim-chunk.sql.ts';
import { laneOf } from './lane.sql.ts';

/**
 * The dispatcher: chooses the chunks that enter the queue next, and the queued chunks that leave it. The queue is first
 * in, first out, so fairness is decided here, and as late as possible: a lane's queue holds only what its workers start
 * next. Queued chunks are ranked again together with pending ones, and make room for chunks that now rank before them.
 * A chunk that is taken out of the queue is pending again; its job finds nothing to claim.
 *
 * - Each open batch may have `$1` chunks queued or running. Chunks that are being stored do not count.
 * - A lane (lane.sql.ts) may have one chunk running and one waiting for each slot of its live workers (seen in the last `$3` seconds
 *   and consuming), and at least `$2` waiting. So no slot idles while its next chunk is on the way, and a new
 *   workspace's first chunk waits only until a slot finishes its current chunk, even if others have millions of lines.
 *   A worker's chunks beyond its slots have run and are being stored: they take no room in the lane.
 * - Workspaces share a lane by lines, not by chunks: start-time fair queueing (P. Goyal, H. Vin, H. Cheng, SIGCOMM
 *   1996). A workspace's next chunk has the workspace's last finish tag as its start tag (`claim-chunk.sql.ts` advances
 *   it); the smallest start tag goes first. A workspace that is new, or that was idle, starts at the lane's virtual time
 *   (the last start tag claimed), so that idle time earns no credit. Tags behind the virtual time are deleted.
 * - Within a workspace the highest priority goes first, then the earliest deadline, then the oldest batch. Batches that
 *   are being cancelled only have records to write.
 *
 * A batch's pending chunks are its chunk count less the done, queued, running and delayed ones, so the statement reads
 * only as many batches of a workspace as fill the lane's room, and the index `chunks_pending` gives their next chunks
 * without reading the later ones. `skip locked` and the status guard make two dispatchers at once harmless: from one
 * snapshot both choose the same chunks.
 *
 * 50 workspaces with 1,000 open batches of 2,500 pending chunks each, 8 slots (2 busy cores, Postgres 15): median call
 * 8 ms; 75 ms when the first chunks of every batch are read, 80 ms with a lateral join per workspace.
 * Rejected: priorities in the queue (a start tag has no upper limit, a priority has).
 *
 * `$4`: maximum number of chunks per call.
 */
export const dispatchChunks = `
  with flight as materialized (
    select c.batch_id, c.index, c.lines, c.status, c.worker_id, ${laneOf('b')} as lane
    from chunks c join batches b on b.id = c.batch_id
    where c.status in ('queued', 'running') and b.status in ('in_progress', 'cancelling')
  ), running as materialized (
    select batch_id, lane, count(*)::int as chunks from flight where status = 'running' group by 1, 2
  ), taken as (
    select held.lane, sum(least(held.chunks, coalesce(w.slots, held.chunks)))::int as slots
    from (select lane, worker_id, count(*) as chunks from flight where status = 'running' group by 1, 2) held
    left join workers w on w.id = held.worker_id
    group by 1
  ), delayed as materialized (
    select c.batch_id, count(*)::int as chunks
    from chunks c
    where c.status = 'pending' and c.not_before > clock_timestamp()
    group by 1
  ), open as materialized (
    select b.id, b.workspace_id, b.pool, ${laneOf('b')} as lane, b.priority, b.expires_at, b.created_at,
      least($1::int - least(coalesce(r.chunks, 0), coalesce(t.slots, 0)),
        b.chunk_count - b.chunks_done - coalesce(d.chunks, 0) - coalesce(r.chunks, 0)) as room
    from batches b
    left join running r on r.batch_id = b.id
    left join taken t on t.lane = r.lane
    left join delayed d on d.batch_id = b.id
    where b.status in ('in_progress', 'cancelling') and b.chunks_done < b.chunk_count and not b.paused
  ), lanes as materialized (
    select p.lane, s.slots + greatest(s.slots, $2::int)
      - coalesce((select t.slots from taken t where t.lane = p.lane), 0) as room,
      coalesce((select max(t.start_tag) from fair_queue_tags t where t.lane = p.lane), 0) as virtual_time
    from (select distinct lane, pool from open) p
    cross join lateral (
      select coalesce(sum(w.slots), 0) as slots from workers w
      where p.pool = any(w.pools) and w.consuming and w.seen_at > clock_timestamp() - make_interval(secs => $3::float8)
    ) s
  ), considered as (
    select o.*, lanes.room as room_of_lane, lanes.virtual_time,
      sum(o.room) over (partition by o.lane, o.workspace_id order by o.priority desc, o.expires_at, o.created_at, o.id) - o.room as ahead
    from open o
    join lanes on lanes.lane = o.lane and lanes.room > 0
    where o.room > 0
  ), candidates as (
    select o.lane, n.batch_id, n.index, n.is_waiting, greatest(t.finish_tag, o.virtual_time) + sum(n.cost) over (
      partition by o.lane, o.workspace_id order by o.priority desc, o.expires_at, o.created_at, o.id, n.is_waiting desc, n.index
    ) - n.cost as start_tag
    from considered o
    left join fair_queue_tags t on t.lane = o.lane and t.workspace_id = o.workspace_id
    cross join lateral (
      select batch_id, index, is_waiting, ${chunkCost('lines')} as cost from (
        select f.batch_id, f.index, f.lines, true as is_waiting from flight f
        where f.batch_id = o.id and f.status = 'queued'
        union all (
          select c.batch_id, c.index, c.lines, false from chunks c
          where c.batch_id = o.id and c.status = 'pending' and (c.not_before is null or c.not_before <= clock_timestamp())
          order by c.index
          limit least(o.room, o.room_of_lane - o.ahead))
      ) next
      order by is_waiting desc, index
      limit least(o.room, o.room_of_lane - o.ahead)
    ) n
    where o.ahead < o.room_of_lane
  ), ranked as (
    select *, row_number() over (partition by lane order by start_tag, is_waiting desc, batch_id, index) as rank
    from candidates
  ), next as materialized (
    select ranked.* from ranked join lanes using (lane) where rank <= room
  ), chosen as (
    select c.batch_id, c.index, n.lane, n.start_tag
    from chunks c
    join (select * from next where not is_waiting order by rank limit $4) n on n.batch_id = c.batch_id and n.index = c.index
    where c.status = 'pending'
    for update of c skip locked
  ), displaced as (
    select c.batch_id, c.index
    from chunks c
    join flight f on f.batch_id = c.batch_id and f.index = c.index
    where c.status = 'queued' and f.lane in (select lane from chosen)
      and not exists (select from next n where n.batch_id = f.batch_id and n.index = f.index)
    for update of c skip locked
  ), dequeued as (
    update chunks c set status = 'pending' from displaced d where c.batch_id = d.batch_id and c.index = d.index
  ), outdated as (
    delete from fair_queue_tags t using lanes p
    where t.lane = p.lane and t.finish_tag <= p.virtual_time and t.start_tag < p.virtual_time
  ), queued as (
    update chunks c
    set status = 'queued', generation = c.generation + 1, queued_at = clock_timestamp(), not_before = null
    from chosen
    where c.batch_id = chosen.batch_id and c.index = chosen.index
    returning c.batch_id, c.index, c.generation, chosen.lane, chosen.start_tag
  )
  select batch_id as "batchId", index as chunk, generation, lane from queued order by start_tag, batch_id, index`;
