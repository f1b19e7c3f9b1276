/**
 * The account that a chunk's calls are made with does not serve: the chunk goes back as it is, and every batch of its
 * workspace at that provider is held back with it, each with its fact, until its owner resumes it. Batches are locked in
 * one order, so that two chunks that find it out at once wait for each other and no more; one that was paused before is
 * left as it is, and tells nothing twice. What waits in the queue waits here instead; its job is stale then.
 *
 * `$1` batch, `$2` chunk, `$3` attempt, `$4` why, a code.
 */
export const pauseBatches = `
  with freed as (
    update chunks set status = 'pending'
    where batch_id = $1 and index = $2 and attempt = $3 and status = 'running'
    returning batch_id, index, attempt, workspace_id
  ), attempt as (
    update attempts a set outcome = 'released', error_code = $4, finished_at = clock_timestamp()
    from freed f where a.batch_id = f.batch_id and a.chunk = f.index and a.number = f.attempt
  ), affected as materialized (
    select b.id
    from freed f
    join batches own on own.id = f.batch_id
    join batches b on b.workspace_id = f.workspace_id and b.provider = own.provider
    where b.status = 'in_progress' and b.closing is null and not b.paused
    order by b.id
    for update of b
  ), paused as (
    update batches b set paused = true, pause_reason = $4, sequence = b.sequence + 1
    from affected where b.id = affected.id and not b.paused and b.closing is null and b.status = 'in_progress'
    returning b.id, b.workspace_id, b.sequence
  ), taken_back as (
    update chunks c set status = 'pending'
    from (
      select c.batch_id, c.index from chunks c join paused p on p.id = c.batch_id
      where c.status = 'queued' for update of c skip locked) waiting
    where c.batch_id = waiting.batch_id and c.index = waiting.index
  ), told as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select 'evt_' || replace(gen_random_uuid()::text, '-', ''), workspace_id, id, sequence, 'batch.paused',
      json_build_object('id', id, 'reason', $4::text)
    from paused
  )
  select id from paused`;
