/**
 * Records a task's progress; the percentage never decreases. `minPercent` is the estimate that was shown when the
 * upstream first reported progress, plus one point for differences between clocks: less is never shown, and what is
 * shown counts as an estimate until the upstream exceeds it. The commit does not wait for the disk. If the server
 * crashes, a lost event was not published either, because publishing commits later and does wait.
 *
 * Live views read the row. An event is written only if a webhook endpoint subscribes to it, the percentage has grown,
 * and the last event (`publishedPercent`, `publishedAt`) is some seconds old.
 *
 * `$1` task, `$2` attempt, `$3` worker, `$4` progress, `$5` event, `$6` the time (null: the server's), `$7` seconds
 * between two events.
 */
import { prepareStatement } from '../prepared-statement.ts';
import { matchesEvent } from './match-event.sql.ts';

const isSubscribed = (condition: string) => `exists (
  select from webhook_endpoints e where ${condition} and e.disabled_at is null and ${matchesEvent('e', 'due')})`;

export const recordProgress = prepareStatement(
  'record-progress',
  `
  with held as materialized (
    select id, workspace_id, coalesce($6::timestamptz, clock_timestamp()) as now,
      (progress ->> 'publishedPercent')::float8 as published_percent,
      (progress ->> 'publishedAt')::timestamptz as published_at,
      greatest((progress ->> 'percent')::float8, ($4::jsonb ->> 'percent')::float8) as percent,
      coalesce(progress -> 'minPercent', to_jsonb(case when $4::jsonb ? 'percent' and estimate_ms > 0 then
        least(95, 1 + ceil(extract(epoch from clock_timestamp() - run_started_at) * 100000 / estimate_ms)) end)) as min_percent
    from tasks
    where id = $1 and attempt = $2 and worker_id = $3 and status = 'running'
      and set_config('synchronous_commit', 'off', true) = 'off'
    for update
  ), due as materialized (
    select id as subject, workspace_id, 'task.progress' as type, now, percent
    from held
    where percent > coalesce(published_percent, -1)
      and (published_at is null or published_at <= now - make_interval(secs => $7::float8))
  ), subscribed as materialized (
    select * from due
    where ${isSubscribed('e.subject = due.subject')}
      or ${isSubscribed('e.workspace_id = due.workspace_id and e.subject is null')}
  ), recorded as (
    update tasks t
    set progress = $4::jsonb || jsonb_strip_nulls(jsonb_build_object('percent', held.percent, 'minPercent', held.min_percent,
        'publishedPercent', coalesce(subscribed.percent, held.published_percent),
        'publishedAt', coalesce(subscribed.now, held.published_at))),
      sequence = t.sequence + case when subscribed.subject is null then 0 else 1 end
    from held left join subscribed on true
    where t.id = held.id
    returning t.id, t.workspace_id, t.sequence, t.kind, t.model
  ), event as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select $5, recorded.workspace_id, recorded.id, recorded.sequence, 'task.progress', json_build_object(
      'id', recorded.id, 'kind', recorded.kind, 'model', recorded.model, 'progress', subscribed.percent)
    from recorded, subscribed
  )
  select id from recorded`,
);
