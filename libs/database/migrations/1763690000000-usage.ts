/** Usage: what every attempt used, the entries that wait to be summed, and the sums by the hour. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Usage1763690000000 implements MigrationInterface {
  readonly name = 'Usage1763690000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [columns, counts, sums, entering]) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop trigger attempts_usage on attempts;
      drop function enter_usage();
      drop table usage_entries, usage_hours;
      drop aggregate sum_counts(jsonb);
      drop function add_counts(jsonb, jsonb);
      drop index attempts_age;
      alter table attempts drop column kind, drop column api_key_id, drop column token, drop column failed_lines,
        drop column error_codes, drop column first_token_ms, drop column input_bytes, drop column output_bytes,
        drop column images, drop column media_ms, drop column reported_cost, drop column reported_requests,
        drop column estimated_cost;
      alter table batches drop column api_key_id;
      alter table tasks drop column api_key_id;`);
  }
}

/** Without defaults, which would rewrite rows, and without a foreign key: usage is kept when its API key is deleted. */
const columns = `
  alter table tasks add column api_key_id text;
  alter table batches add column api_key_id text;
  alter table attempts
    add column kind text,
    add column api_key_id text,
    add column token text,
    add column failed_lines int,
    add column error_codes jsonb,
    add column first_token_ms int,
    add column input_bytes bigint,
    add column output_bytes bigint,
    add column images int,
    add column media_ms bigint,
    add column reported_cost bigint,
    add column reported_requests int,
    add column estimated_cost bigint;
  create index attempts_age on attempts (finished_at) where task_id is not null and outcome is not null;`;

/** Adds counts by name: `{"a": 1}` and `{"a": 2, "b": 1}` give `{"a": 3, "b": 1}`. */
const counts = `
  create function add_counts(one jsonb, other jsonb) returns jsonb language sql immutable strict parallel safe as $$
    select case when one = '{}' then other when other = '{}' then one else (
      select jsonb_object_agg(name, total) from (
        select name, sum(count::bigint) as total
        from (select * from jsonb_each_text(one) union all select * from jsonb_each_text(other)) as e (name, count)
        group by name) each) end
  $$;
  create aggregate sum_counts(jsonb) (sfunc = add_counts, stype = jsonb, initcond = '{}');`;

/** Without foreign keys: a workspace that is deleted during a roll-up must not fail the sums of the others. */
const sums = `
  create table usage_hours (
    workspace_id text not null,
    hour timestamptz not null,
    model text not null,
    provider text not null,
    kind text not null,
    api_key_id text not null,
    is_batch boolean not null,
    token text not null,
    attempts bigint not null,
    requests bigint not null,
    failed_requests bigint not null,
    input_tokens bigint not null,
    output_tokens bigint not null,
    input_bytes bigint not null,
    output_bytes bigint not null,
    images bigint not null,
    media_ms bigint not null,
    reported_cost bigint not null,
    reported_requests bigint not null,
    estimated_cost bigint not null,
    estimated_requests bigint not null,
    queue_ms bigint not null,
    upstream_ms bigint not null,
    store_ms bigint not null,
    first_token_ms bigint not null,
    first_tokens bigint not null,
    errors jsonb not null,
    primary key (workspace_id, hour, model, provider, kind, api_key_id, is_batch, token)
  );
  create index usage_hours_token on usage_hours (hour) where token <> '';

  create table usage_entries (
    attempt_id bigint primary key,
    like usage_hours
  );`;

/**
 * The trigger writes an entry in the transaction that ends an attempt, whichever statement ends it. So each attempt has one
 * entry, which stays when the attempt's row is deleted. Roll-ups move entries and never read attempts. An attempt ends
 * once: the trigger's condition is false for later changes.
 */
const entering = `
  create function enter_usage() returns trigger language plpgsql as $$
  begin
    insert into usage_entries values (
      new.id, new.workspace_id, date_trunc('hour', coalesce(new.finished_at, clock_timestamp()), 'UTC'), new.model, new.provider,
      coalesce(new.kind, ''), coalesce(new.api_key_id, ''), new.batch_id is not null, coalesce(new.token, ''),
      1, coalesce(new.lines, 0), coalesce(new.failed_lines, 0), coalesce(new.input_tokens, 0),
      coalesce(new.output_tokens, 0), coalesce(new.input_bytes, 0), coalesce(new.output_bytes, 0),
      coalesce(new.images, 0), coalesce(new.media_ms, 0), coalesce(new.reported_cost, 0),
      coalesce(new.reported_requests, 0), coalesce(new.estimated_cost, 0),
      case when new.estimated_cost is null then 0 else coalesce(new.lines, 0) - coalesce(new.failed_lines, 0) end,
      coalesce(new.queue_ms, 0), coalesce(new.provider_ms, 0), coalesce(new.store_ms, 0),
      coalesce(new.first_token_ms, 0), (new.first_token_ms is not null)::int,
      coalesce(new.error_codes, '{}') || case
        when new.error_code is not null then jsonb_build_object(new.error_code, 1)
        when new.outcome = 'lost' then '{"worker_lost": 1}'
        else '{}' end);
    return null;
  end $$;
  create trigger attempts_usage after update of outcome on attempts for each row
    when (old.outcome is null and new.outcome is not null) execute function enter_usage();`;
