/**
 * The provider refuses the account that a chunk's calls use: releases the chunk, and pauses every running batch of its
 * workspace at that provider, with an event each, until its owner resumes it. Batches are locked in the order of their
 * ids, so that two chunks that do this at once cannot deadlock. A batch that is paused already stays as it is and gets
 * no second event. Queued chunks of paused batches become pending; their jobs are stale.
 *
 * `$1` batch, `$2` chunk, `$3` attempt, `$4` error code.
 */
export const pauseBatches = `
  with released as (
    update chunks set status = 'pending'
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
    returning batch_id, index, attempt, workspace_id
  ), attempt as (
    update attempts a set outcome = 'released', error_code = $4, finished_at = clock_timestamp()
    from released r where a.batch_id = r.batch_id and a.chunk = r.index and a.number = r.attempt
  ), affected as materialized (
    select b.id
    from released r
    join batches own on own.id = r.batch_id
    join batches b on b.workspace_id = r.workspace_id and b.provider = own.provider
    where b.status = 'in_progress' and b.closing is null and not b.paused
    order by b.id
    for update of b
  ), paused as (
    update batches b set paused = true, pause_reason = $4, sequence = b.sequence + 1
    from affected where b.id = affected.id and not b.paused and b.closing is null and b.status = 'in_progress'
    returning b.id, b.workspace_id, b.sequence
  ), dequeued as (
    update chunks c set status = 'pending'
    from (
      select c.batch_id, c.index from chunks c join paused p on p.id = c.batch_id
      where c.status = 'queued' for update of c skip locked) waiting
    where c.batch_id = waiting.batch_id and c.index = waiting.index
  ), event as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select 'evt_' || replace(gen_random_uuid()::text, '-', ''), workspace_id, id, sequence, 'batch.paused',
      json_build_object('id', id, 'reason', $4::text)
    from paused
  )
  select id from paused`;
