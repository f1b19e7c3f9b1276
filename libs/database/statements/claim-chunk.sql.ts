import { prepareStatement } from '../prepared-statement.ts';
import { laneOf } from './lane.sql.ts';

/**
 * What a chunk costs its workspace in the fair queue: its lines, and 25 more for its round trips. Without the 25, a
 * workspace of one-line batches would get 4,000 chunks for each chunk of its neighbour.
 */
export const chunkCost = (lines: string) => `${lines} + 25`;

/**
 * A worker claims a chunk. This compare-and-set makes every later statement of an older attempt match nothing.
 * A running chunk may be claimed again by the same generation: the queue delivers a job a second time only when its
 * first holder has lost its lock. A stale generation, a finished chunk and a batch that has ended match nothing.
 * The same statement adds the chunk's cost to its workspace's tags, by which the dispatcher orders workspaces.
 *
 * $1 batch, $2 chunk index, $3 generation, $4 worker.
 */
export const claimChunk = prepareStatement(
  'claim-chunk',
  `
  with claimed as (
    update chunks c
    set status = 'running', attempt = c.attempt + 1, worker_id = $4, started_at = clock_timestamp()
    from batches b
    where c.batch_id = $1 and c.index = $2 and c.generation = $3 and c.status in ('queued', 'running')
      and b.id = c.batch_id and b.status in ('in_progress', 'cancelling')
    returning c.batch_id, c.index, c.attempt, c.workspace_id, c.first_line, c.lines, c.byte_start, c.byte_length,
      c.queued_at, c.split_attempt, ${laneOf('b')} as lane, b.kind, b.model, b.api_key_id, b.endpoint, b.closing, b.input_file_id, b.output_format,
      extract(epoch from clock_timestamp() - b.in_progress_at)::float8 * 1000 as age_ms
  ), tagged as (
    insert into fair_queue_tags as tag (lane, workspace_id, start_tag, finish_tag)
    select c.lane, c.workspace_id, next.start, next.start + ${chunkCost('c.lines')}
    from claimed c
    cross join lateral (
      select greatest((select t.finish_tag from fair_queue_tags t where t.lane = c.lane and t.workspace_id = c.workspace_id),
        (select max(t.start_tag) from fair_queue_tags t where t.lane = c.lane), 0) as start
    ) next
    on conflict (lane, workspace_id) do update
    set start_tag = greatest(tag.finish_tag, excluded.start_tag),
      finish_tag = greatest(tag.finish_tag, excluded.start_tag) + excluded.finish_tag - excluded.start_tag
  ), lost as (
    update attempts a
    set outcome = 'lost', finished_at = clock_timestamp()
    from claimed c
    where a.batch_id = c.batch_id and a.chunk = c.index and a.number < c.attempt and a.outcome is null
    returning 1
  ), started as (
    insert into attempts (workspace_id, batch_id, chunk, number, worker_id, provider, model, kind, api_key_id, input_bytes,
      queue_ms)
    select c.workspace_id, c.batch_id, c.index, c.attempt, $4, split_part(c.model, '/', 1), c.model, c.kind,
      c.api_key_id, c.byte_length,
      extract(epoch from clock_timestamp() - c.queued_at)::float8 * 1000
    from claimed c
  )
  select c.batch_id as "batchId", c.index, c.attempt, c.workspace_id as "workspaceId", c.first_line as "firstLine",
    c.lines, c.byte_start as "byteStart", c.byte_length as "byteLength", c.kind, c.model, c.endpoint, c.closing,
    c.input_file_id as "inputFileId", c.output_format as "outputFormat", c.age_ms as "ageMs",
    (select count(*) from lost) + (
      select count(*) from attempts a
      where a.batch_id = c.batch_id and a.chunk = c.index and a.number > c.split_attempt and a.outcome = 'lost') as "lostAttempts",
    case c.attempt when 1 then 0 else (
      select count(*) from attempts a
      where a.batch_id = c.batch_id and a.chunk = c.index and a.number > c.split_attempt and a.outcome = 'failed')
    end as "failedAttempts",
    c.attempt > 1 and exists (
      select from attempts a
      where a.batch_id = c.batch_id and a.chunk = c.index and a.number > c.split_attempt
        and a.error_code = 'result_not_stored') as "wasAnswered"
  from claimed c`,
);
