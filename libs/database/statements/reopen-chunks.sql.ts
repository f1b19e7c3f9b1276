/**
 * Reopens chunks whose segments are missing from object storage: what they added to their batch's counters is
 * subtracted, and they wait to be dispatched. Only for the attempt whose result it was, and only while the batch is
 * open. The chunks' rows are locked before the batch's, in the same order as a commit.
 *
 * A chunk keeps its completion order: its next commit fills the gap, and readers of results wait there. Milestones that
 * were published are not published again. A chunk that was reopened `$4` times stays as it is: otherwise an object
 * storage that drops every object would be written to, and the lines paid for, without end.
 *
 * $1 batch, $2 indexes, $3 attempts, $4 limit of reopenings.
 */
export const reopenChunks = `
  with held as materialized (
    select c.batch_id, c.index, c.attempt, c.lines, c.completed, c.failed, c.canceled, c.expired,
      coalesce(c.completion_order, a.completion_order) as completion_order, coalesce(a.input_tokens, 0) as input_tokens,
      coalesce(a.output_tokens, 0) as output_tokens
    from chunks c
    join unnest($2::int[], $3::int[]) as damaged (index, attempt) on damaged.index = c.index and damaged.attempt = c.attempt
    join attempts a on a.batch_id = c.batch_id and a.chunk = c.index and a.number = c.attempt
    where c.batch_id = $1 and c.status = 'done' and $4 > (
      select count(*) from attempts x
      where x.batch_id = c.batch_id and x.chunk = c.index and x.error_code = 'segment_damaged')
    order by c.index
    for update of c
  ), sums as (
    select count(*)::int as chunks, sum(completed) as completed, sum(failed) as failed, sum(canceled) as canceled,
      sum(expired) as expired, sum(input_tokens) as input_tokens, sum(output_tokens) as output_tokens
    from held
  ), counted as (
    update batches b
    set completed = b.completed - s.completed, failed = b.failed - s.failed, canceled = b.canceled - s.canceled,
      expired = b.expired - s.expired, input_tokens = b.input_tokens - s.input_tokens,
      output_tokens = b.output_tokens - s.output_tokens, chunks_done = b.chunks_done - s.chunks,
      chunks_reopened = b.chunks_reopened + s.chunks,
      published_tenths = greatest(b.published_tenths, least(9,
        (b.completed + b.failed + b.canceled + b.expired) * 10 / greatest(b.total, 1))::int),
      status = case b.status when 'finalizing' then 'in_progress' else b.status end, finalizing_at = null
    from sums s
    where b.id = $1 and s.chunks > 0 and b.status in ('in_progress', 'finalizing', 'cancelling')
    returning b.id
  ), invalidated as (
    update attempts a set outcome = 'failed', error_code = 'segment_damaged', completion_order = null
    from held, counted where a.batch_id = held.batch_id and a.chunk = held.index and a.number = held.attempt
  )
  update chunks c
  set status = 'pending', not_before = null, finished_at = null, completion_order = held.completion_order,
    completed = 0, failed = 0, canceled = 0, expired = 0,
    output_key = null, output_bytes = null, error_key = null, error_bytes = null
  from held, counted
  where c.batch_id = held.batch_id and c.index = held.index
  returning c.index`;
