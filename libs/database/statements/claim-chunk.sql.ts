import { prepareStatement } from '../prepared-statement.ts';

/**
 * What a chunk costs its workspace: its lines and 25 more, for its round trips. A workspace of one-line batches would
 * else be handed 4,000 chunks for each of its neighbour's.
 */
export const chunkCost = (lines: string) => `${lines} + 25`;

/**
 * A worker takes a chunk: the compare-and-set that makes every later statement of an older attempt void.
 * A running chunk may be claimed again, by the same delivery: the queue hands a job out a second time only
 * when its first holder has lost its lock. Stale deliveries, finished chunks and closed batches match nothing.
 * What the claim costs is counted to its workspace in the same statement: the dispatcher's turns go by it.
 *
 * $1 batch, $2 chunk index, $3 delivery, $4 worker.
 */
export const claimChunk = prepareStatement(
  'claim-chunk',
  `
  with claimed as (
    update chunks c
    set status = 'running', attempt = c.attempt + 1, worker_id = $4, started_at = clock_timestamp()
    from batches b
    where c.batch_id = $1 and c.index = $2 and c.delivery = $3 and c.status in ('queued', 'running')
      and b.id = c.batch_id and b.status in ('in_progress', 'cancelling')
    returning c.batch_id, c.index, c.attempt, c.workspace_id, c.first_line, c.lines, c.byte_start, c.byte_length,
      c.queued_at, c.halved_at, b.pool, b.kind, b.model, b.api_key_id, b.endpoint, b.closing, b.input_file_id, b.output_format
  ), turn as (
    insert into turns as turn (pool, workspace_id, started, served)
    select c.pool, c.workspace_id, begun.start, begun.start + ${chunkCost('c.lines')}
    from claimed c
    cross join lateral (
      select greatest((select t.served from turns t where t.pool = c.pool and t.workspace_id = c.workspace_id),
        (select max(t.started) from turns t where t.pool = c.pool), 0) as start
    ) begun
    on conflict (pool, workspace_id) do update
    set started = greatest(turn.served, excluded.started),
      served = greatest(turn.served, excluded.started) + excluded.served - excluded.started
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
    c.input_file_id as "inputFileId", c.output_format as "outputFormat",
    (select count(*) from lost) + (
      select count(*) from attempts a
      where a.batch_id = c.batch_id and a.chunk = c.index and a.number > c.halved_at and a.outcome = 'lost') as "timesLost"
  from claimed c`,
);
