/**
 * A chunk's end, in one statement: the chunk, its batch's counters and its attempt change together or not at
 * all, and only for the attempt that still holds the chunk. The counters are taken under the batch's row lock;
 * one commit per some thousands of lines keeps that lock cool. Under that lock the attempt also gets its place among
 * the batch's ends, without a gap and visible in order: what a reader of results goes on from. So do the facts of the
 * milestones (10, 20 … 90 %) that this commit passes: each is passed by one commit, and written once. A chunk that runs
 * again, its segments lost, takes the place that it had (`reopen-chunks.sql.ts`).
 *
 * An attempt's lines are those it answered: lines recorded as not run would pass for the fastest that were ever run.
 *
 * $1 batch, $2 index, $3 attempt, $4..$7 completed, failed, canceled, expired, $8/$9 output key and bytes,
 * $10/$11 error key and bytes, $12/$13 input and output tokens, $14/$15 provider and store ms, $16 histogram, $17 ids for nine facts,
 * $18 what was used beside (metering.sql.ts), $19 errors of lines by code.
 */
import { prepareStatement } from '../prepared-statement.ts';
import { meteringColumns, meteringRecord } from './metering.sql.ts';

/** Lines of the batch that have their record, before this chunk's. */
const before = '(b.completed + b.failed + b.canceled + b.expired)';

/** Tenths of the batch that are done; the last one is its end and no milestone. */
const tenths = (lines: string) => `least(9, (${lines}) * 10 / greatest(b.total, 1))::int`;

/** Milestones are of work that runs: lines recorded as not run, once the batch is closing, reach none. */
const reached = (from: string, to: string) =>
  `case when b.closing is null then greatest(0, ${tenths(to)} - greatest(b.told_tenths, ${tenths(from)})) else 0 end`;

const secondsSince = (time: string) =>
  `greatest(0.001, extract(epoch from clock_timestamp() - ${time}))::float8`;
const sinceLast = secondsSince('coalesce(b.rate_measured_at, b.in_progress_at)');

/** The weight that the rate before this commit keeps: it fades over half a minute, or the batch's age while that is less. */
const fading = `exp(-least(50, ${sinceLast} / least(30, ${secondsSince('b.in_progress_at')})))`;

export const commitChunk = prepareStatement(
  'commit-chunk',
  `
  with done as (
    update chunks
    set status = 'done', finished_at = clock_timestamp(), completed = $4, failed = $5, canceled = $6, expired = $7,
      output_key = $8, output_bytes = $9, error_key = $10, error_bytes = $11
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
      and lines = $4::int + $5::int + $6::int + $7::int
    returning batch_id, index, attempt, lines, place
  ), counted as (
    update batches b
    set completed = b.completed + $4::int, failed = b.failed + $5::int, canceled = b.canceled + $6::int,
      expired = b.expired + $7::int, input_tokens = b.input_tokens + $12::bigint,
      output_tokens = b.output_tokens + $13::bigint, chunks_done = b.chunks_done + 1,
      reserved = b.reserved - (d.place is not null)::int,
      sequence = b.sequence + ${reached(before, `${before} + d.lines`)},
      recent_rate = case when b.recent_rate is null then (${before} + d.lines) / ${sinceLast}
        else b.recent_rate * ${fading} + d.lines / ${sinceLast} * (1 - ${fading}) end,
      rate_measured_at = clock_timestamp(),
      status = case when b.status = 'in_progress' and b.chunks_done + 1 = b.chunk_count then 'finalizing' else b.status end,
      finalizing_at = case when b.chunks_done + 1 = b.chunk_count then clock_timestamp() end
    from done d
    where b.id = d.batch_id
    returning b.id, b.workspace_id, b.chunks_done, b.chunk_count, b.sequence, b.total, b.completed, b.failed, d.index,
      d.attempt, coalesce(d.place, b.chunks_done + b.reserved) as place, ${tenths(before)} as tenth,
      ${reached(`${before} - d.lines`, before)} as milestones
  ), ended as (
    update attempts a
    set outcome = 'succeeded', finished_at = clock_timestamp(), lines = $4::int + $5::int, input_tokens = $12::bigint,
      output_tokens = $13::bigint, provider_ms = $14, store_ms = $15, latency_histogram = $16, done_as = c.place,
      failed_lines = $5::int, error_codes = $19::jsonb, ${meteringColumns}
    from counted c, ${meteringRecord('$18')}
    where a.batch_id = c.id and a.chunk = c.index and a.number = c.attempt
  ), milestones as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select ($17::text[])[nth], workspace_id, id, sequence - milestones + nth, 'batch.progress', jsonb_build_object(
      'id', id, 'progress', (tenth - milestones + nth) * 10,
      'request_counts', jsonb_build_object('total', total, 'completed', completed, 'failed', failed))
    from counted, generate_series(1, milestones) nth
  )
  select chunks_done = chunk_count as "isLast" from counted`,
);
