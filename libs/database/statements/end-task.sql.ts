/** The ends of a task and of its attempts: each one statement, each for the attempt that still holds the task. */

import { prepareStatement } from '../prepared-statement.ts';
import { meteringColumns, meteringRecord } from './metering.sql.ts';

/** `$1` task, `$2` attempt, `$3` worker. */
const isHeld = `id = $1 and attempt = $2 and worker_id = $3 and status = 'running'`;

/** The fact of an end; webhooks and sockets read the rest from the task. `$n` is the event's id. */
const tellEnd = (from: string, event: string) => `
    insert into events (id, workspace_id, subject, sequence, type, terminal, data)
    select ${event}, workspace_id, id, sequence, 'task.' || status, true,
      json_build_object('id', id, 'kind', kind, 'model', model)
    from ${from}`;

/**
 * `$4` status, `$5` output, `$6` its key in the store, `$7` error, `$8`/`$9` input and output tokens, `$10`/`$11`
 * provider and store ms, `$12` event, `$13` media, `$14` what was used beside (metering.sql.ts), `$15`/`$16` the model that
 * was asked last, and its provider. This commit waits for the disk: the answer that was given must be the one that is kept.
 */
export const finishTask = prepareStatement(
  'finish-task',
  `
  with ended as (
    update tasks
    set status = $4, output = $5::json, output_key = $6, error = $7::json, input_tokens = $8, output_tokens = $9,
      media = $13::jsonb, finished_at = clock_timestamp(), sequence = sequence + 1
    where ${isHeld}
    returning id, workspace_id, sequence, kind, model, status, attempt
  ), attempt as (
    update attempts a
    set outcome = e.status, error_code = ($7::json) ->> 'code', finished_at = clock_timestamp(), lines = 1,
      failed_lines = (e.status = 'failed')::int, input_tokens = $8, output_tokens = $9, provider_ms = $10,
      store_ms = $11, model = $15, provider = $16, ${meteringColumns}
    from ended e, ${meteringRecord('$14')}
    where a.task_id = $1 and a.number = e.attempt and a.worker_id = $3
  ), told as (${tellEnd('ended', '$12')})
  select id from ended`,
);

/**
 * Hands it back, to be run again after a pause under the next delivery. Where its run goes on upstream the attempt was
 * there until now. `$4` outcome, `$5` code, `$6` pause in ms.
 */
export const releaseTask = `
  with freed as (
    update tasks
    set status = 'queued', delivery = delivery + 1, worker_id = null,
      queued_at = clock_timestamp() + make_interval(secs => $6::float8 / 1000)
    where ${isHeld}
    returning id, attempt, delivery, upstream_run_id
  ), attempt as (
    update attempts a
    set outcome = $4, error_code = $5, finished_at = clock_timestamp(),
      provider_ms = case when f.upstream_run_id is not null
        then extract(epoch from clock_timestamp() - a.started_at)::float8 * 1000 end
    from freed f where a.task_id = $1 and a.number = f.attempt and a.worker_id = $3
  )
  select delivery from freed`;

/** The owner's end. `$1` task, `$2` workspace, `$3` event. */
export const cancelTask = `
  with ended as (
    update tasks
    set status = 'canceled', finished_at = clock_timestamp(), sequence = sequence + 1
    where id = $1 and workspace_id = $2 and status in ('scheduled', 'queued', 'running')
    returning id, workspace_id, sequence, kind, model, status
  ), attempt as (
    update attempts a set outcome = 'canceled', finished_at = clock_timestamp()
    from ended e where a.task_id = $1 and a.outcome is null
  ), told as (${tellEnd('ended', '$3')})
  select id from ended`;
