/** How a task ends or is released: each one statement. Those of a worker work only for the attempt that holds the task. */
import { prepareStatement } from '../prepared-statement.ts';
import { meteringColumns, meteringRecord } from './metering.sql.ts';
import { endEvents, insertVideoEvent } from './video-event.sql.ts';

/** `$1` task, `$2` attempt, `$3` worker. */
const isHeld = `id = $1 and attempt = $2 and worker_id = $3 and status = 'running'`;

/** Inserts the terminal event. Webhooks and sockets read the rest from the task. `event` is the parameter with its id. */
const insertTerminalEvent = (from: string, event: string) => `
    insert into events (id, workspace_id, subject, sequence, type, terminal, data)
    select ${event}, workspace_id, id, sequence, 'task.' || status, true,
      json_build_object('id', id, 'kind', kind, 'model', model)
    from ${from}`;

/**
 * Ends a task with its result. This commit waits for the disk: the answer that the caller got must be the one that is
 * kept. `$4` status, `$5` output, `$6` key of the output's object, `$7` error, `$8`/`$9` input and output tokens,
 * `$10`/`$11` provider and store ms, `$12` event, `$13` media, `$14` metering (metering.sql.ts), `$15`/`$16` the model of
 * the last call, and its provider.
 */
export const finishTask = prepareStatement(
  'finish-task',
  `
  with ended as (
    update tasks
    set status = $4, output = $5::json, output_key = $6, error = $7::json, input_tokens = $8, output_tokens = $9,
      media = $13::jsonb, finished_at = clock_timestamp(), sequence = sequence + ${endEvents}
    where ${isHeld}
    returning id, workspace_id, sequence, kind, model, status, attempt
  ), attempt as (
    update attempts a
    set outcome = e.status, error_code = ($7::json) ->> 'code', finished_at = clock_timestamp(), lines = 1,
      failed_lines = (e.status = 'failed')::int, input_tokens = $8, output_tokens = $9, provider_ms = $10,
      store_ms = $11, model = $15, provider = $16, ${meteringColumns}
    from ended e, ${meteringRecord('$14')}
    where a.task_id = $1 and a.number = e.attempt and a.worker_id = $3
  ), event as (${insertTerminalEvent('ended', '$12')}),
  video as (${insertVideoEvent('ended')})
  select id from ended`,
);

/**
 * Releases a task: it runs again after a pause, under the next generation. If its run continues upstream, the attempt's
 * provider time ends now. `$4` outcome, `$5` error code, `$6` pause in ms.
 */
export const releaseTask = `
  with released as (
    update tasks
    set status = 'queued', generation = generation + 1, worker_id = null,
      queued_at = clock_timestamp() + make_interval(secs => $6::float8 / 1000)
    where ${isHeld}
    returning id, attempt, generation, upstream_run_id
  ), attempt as (
    update attempts a
    set outcome = $4, error_code = $5, finished_at = clock_timestamp(),
      provider_ms = case when r.upstream_run_id is not null
        then extract(epoch from clock_timestamp() - a.started_at)::float8 * 1000 end
    from released r where a.task_id = $1 and a.number = r.attempt and a.worker_id = $3
  )
  select generation from released`;

/** Ends a task for its owner. `$1` task, `$2` workspace, `$3` event. */
export const cancelTask = `
  with ended as (
    update tasks
    set status = 'canceled', finished_at = clock_timestamp(), sequence = sequence + ${endEvents}
    where id = $1 and workspace_id = $2 and status in ('scheduled', 'queued', 'running')
    returning id, workspace_id, sequence, kind, model, status
  ), attempt as (
    update attempts a set outcome = 'canceled', finished_at = clock_timestamp()
    from ended e where a.task_id = $1 and a.outcome is null
  ), event as (${insertTerminalEvent('ended', '$3')}),
  video as (${insertVideoEvent('ended')})
  select id from ended`;
