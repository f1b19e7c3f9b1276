/**
 * How far a task is; never less than was said before. `floor` is what the estimate showed when the upstream spoke first:
 * nobody is shown less than that, and what is shown is an estimate until the upstream has passed it (one point more
 * for the readers' clock). The commit does not wait for the disk: what is lost with the server was not told either, since
 * a fact is stamped by a later commit that does.
 *
 * Whoever follows live looks at the row. For webhooks it is a fact as well, where one of them wants it: what is news to
 * them, and some seconds after the fact before it (`told`, `toldAt`).
 *
 * `$1` task, `$2` attempt, `$3` worker, `$4` progress, `$5` event, `$6` the time (null: the server's), `$7` seconds
 * between two facts.
 */
import { prepareStatement } from '../prepared-statement.ts';
import { wantsEvent } from './match-event.sql.ts';

const wants = (endpoints: string) => `exists (
  select from webhook_endpoints e where ${endpoints} and e.disabled_at is null and ${wantsEvent('e', 'news')})`;

export const recordProgress = prepareStatement(
  'note-progress',
  `
  with held as materialized (
    select id, workspace_id, coalesce($6::timestamptz, clock_timestamp()) as now,
      (progress ->> 'told')::float8 as told, (progress ->> 'toldAt')::timestamptz as told_at,
      greatest((progress ->> 'percent')::float8, ($4::jsonb ->> 'percent')::float8) as percent,
      coalesce(progress -> 'floor', to_jsonb(case when $4::jsonb ? 'percent' and estimate_ms > 0 then
        least(95, 1 + ceil(extract(epoch from clock_timestamp() - began_at) * 100000 / estimate_ms)) end)) as floor
    from tasks
    where id = $1 and attempt = $2 and worker_id = $3 and status = 'running'
      and set_config('synchronous_commit', 'off', true) = 'off'
    for update
  ), news as materialized (
    select id as subject, workspace_id, 'task.progress' as type, now, percent
    from held
    where percent > coalesce(told, -1) and (told_at is null or told_at <= now - make_interval(secs => $7::float8))
  ), wanted as materialized (
    select * from news
    where ${wants('e.subject = news.subject')}
      or ${wants('e.workspace_id = news.workspace_id and e.subject is null')}
  ), noted as (
    update tasks t
    set progress = $4::jsonb || jsonb_strip_nulls(jsonb_build_object('percent', held.percent, 'floor', held.floor,
        'told', coalesce(wanted.percent, held.told), 'toldAt', coalesce(wanted.now, held.told_at))),
      sequence = t.sequence + case when wanted.subject is null then 0 else 1 end
    from held left join wanted on true
    where t.id = held.id
    returning t.id, t.workspace_id, t.sequence, t.kind, t.model
  ), told as (
    insert into events (id, workspace_id, subject, sequence, type, data)
    select $5, noted.workspace_id, noted.id, noted.sequence, 'task.progress',
      json_build_object('id', noted.id, 'kind', noted.kind, 'model', noted.model, 'progress', wanted.percent)
    from noted, wanted
  )
  select id from noted`,
);
