/** Direct requests: columns of tasks, the state in workers' heartbeats, and the models that should be loaded. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Direct1763660000000 implements MigrationInterface {
  readonly name = 'Direct1763660000000';

  async up(runner: QueryRunner): Promise<void> {
    // json, not jsonb: it stores the text unchanged (jsonb rejects NUL and lone surrogates) and without parsing it.
    await runner.query(`
      alter table tasks
        alter column input type json, alter column input drop not null,
        alter column output type json, alter column error type json,
        add column input_key text,
        add column queued_at timestamptz not null default now(),
        add column input_tokens bigint,
        add column output_tokens bigint;
      create index tasks_pending on tasks (workspace_id) where status in ('scheduled', 'queued', 'running');
      alter table attempts drop constraint attempts_outcome_check;
      alter table attempts add constraint attempts_outcome_check
        check (outcome in ('succeeded', 'failed', 'released', 'lost', 'canceled'));

      alter table workers
        add column version text not null default '',
        add column memory_bytes bigint not null default 0,
        add column running jsonb not null default '[]',
        add column models jsonb not null default '[]',
        add column device jsonb;

      alter table workspaces add column operates boolean not null default false;
      update workspaces set operates = true where id = (select id from workspaces order by created_at, id limit 1);

      create table model_wishes (
        model text primary key,
        is_wanted boolean not null,
        changed_at timestamptz not null default now()
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table model_wishes;
      alter table workspaces drop column operates;
      alter table workers
        drop column device, drop column models, drop column running, drop column memory_bytes, drop column version;
      update attempts set outcome = 'failed' where outcome = 'canceled';
      alter table attempts drop constraint attempts_outcome_check;
      alter table attempts add constraint attempts_outcome_check
        check (outcome in ('succeeded', 'failed', 'released', 'lost'));
      drop index tasks_pending;
      delete from tasks where input is null;
      alter table tasks
        drop column output_tokens, drop column input_tokens, drop column queued_at, drop column input_key,
        alter column error type jsonb, alter column output type jsonb,
        alter column input type jsonb, alter column input set not null;`);
  }
}
