/**
 * Completes a chunk in one statement: the chunk, its batch's counters and its attempt change together or not at all, and
 * only for the attempt that still holds the chunk. The counters change under the batch's row lock, once per some
 * thousands of lines, so commits rarely wait for each other.
 *
 * The same lock gives the chunk its completion order: the numbers have no gaps and become visible in order, so readers
 * of results page by them. A chunk that runs again because its segments are missing keeps its number
 * (`reopen-chunks.sql.ts`). The lock also makes milestones (10, 20 … 90 %) exact: each is passed by one commit. A commit
 * that passes several writes one event, for the highest.
 *
 * An attempt's lines are the lines it answered. Lines recorded as not run do not count: they would look like the fastest
 * lines ever run.
 *
 * $1 batch, $2 index, $3 attempt, $4..$7 completed, failed, canceled, expired, $8/$9 output key and bytes,
 * $10/$11 error key and bytes, $12/$13 input and output tokens, $14/$15 provider and store ms, $16 histogram,
 * $17 id of the event, $18 metering (metering.sql.ts), $19 failed lines by error code.
 */
import { prepareStatement } from '../prepared-statement.ts';
import { meteringColumns, meteringRecord } from './metering.sql.ts';

/** Lines of the batch that have a record, without this chunk's. */
const recorded = '(b.completed + b.failed + b.canceled + b.expired)';

/** Tenths of the batch that are done, 9 at most: the last tenth is the batch's end, not a milestone. */
const tenths = (lines: string) => `least(9, (${lines}) * 10 / greatest(b.total, 1))::int`;

/** Whether a milestone is passed. A closing batch passes none: its remaining lines are recorded as not run. */
const passesMilestone = (from: string, to: string) =>
  `(b.closing is null and ${tenths(to)} > greatest(b.published_tenths, ${tenths(from)}))`;

const secondsSince = (time: string) =>
  `greatest(0.001, extract(epoch from clock_timestamp() - ${time}))::float8`;
const sinceLastCommit = secondsSince('coalesce(b.rate_measured_at, b.in_progress_at)');

/** Weight of the previous rate in the moving average. It decays over 30 s, or over the batch's age while that is less. */
const decay = `exp(-least(50, ${sinceLastCommit} / least(30, ${secondsSince('b.in_progress_at')})))`;

export const commitChunk = prepareStatement(
  'commit-chunk',
  `
  with done as (
    update chunks
    set status = 'done', finished_at = clock_timestamp(), completed = $4, failed = $5, canceled = $6, expired = $7,
      output_key = $8, output_bytes = $9, error_key = $10, error_bytes = $11
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
      and lines = $4::int + $5::int + $6::int + $7::int
    returning batch_id, index, attempt, lines, completion_order
  ), counted as (
    update batches b
    set completed = b.completed + $4::int, failed = b.failed + $5::int, canceled = b.canceled + $6::int,
      expired = b.expired + $7::int, input_tokens = b.input_tokens + $12::bigint,
      output_tokens = b.output_tokens + $13::bigint, chunks_done = b.chunks_done + 1,
      chunks_reopened = b.chunks_reopened - (d.completion_order is not null)::int,
      sequence = b.sequence + ${passesMilestone(recorded, `${recorded} + d.lines`)}::int,
      recent_rate = case when b.recent_rate is null then (${recorded} + d.lines) / ${sinceLastCommit}
        else b.recent_rate * ${decay} + d.lines / ${sinceLastCommit} * (1 - ${decay}) end,
      rate_measured_at = clock_timestamp(),
      status = case when b.status = 'in_progress' and b.chunks_done + 1 = b.chunk_count then 'finalizing' else b.status end,
      finalizing_at = case when b.chunks_done + 1 = b.chunk_count then clock_timestamp() end
    from done d
    where b.id = d.batch_id
    returning b.id, b.workspace_id, b.chunks_done, b.chunk_count, b.sequence, b.total, b.completed, b.failed, d.index,
      d.attempt, coalesce(d.completion_order, b.chunks_done + b.chunks_reopened) as completion_order,
      ${tenths(recorded)} as tenth, ${passesMilestone(`${recorded} - d.lines`, recorded)} as passes_milestone
  ), ended as (
    update attempts a
    set outcome = 'succeeded', finished_at = clock_timestamp(), lines = $4::int + $5::int, input_tokens = $12::bigint,
      output_tokens = $13::bigint, provider_ms = $14, store_ms = $15, latency_histogram = $16,
      completion_order = c.completion_order, failed_lines = $5::int, error_codes = $19::jsonb, ${meteringColumns}
    from counted c, ${meteringRecord('$18')}
    where a.batch_id = c.id and a.chunk = c.index and a.number = c.attempt
  ), milestone as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select $17, workspace_id, id, sequence, 'batch.progress', jsonb_build_object(
      'id', id, 'progress', tenth * 10,
      'request_counts', jsonb_build_object('total', total, 'completed', completed, 'failed', failed))
    from counted where passes_milestone
  )
  select chunks_done = chunk_count as "isLast" from counted`,
);
