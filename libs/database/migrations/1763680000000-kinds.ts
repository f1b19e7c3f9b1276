/** Tasks of all kinds: schedule and deadlines, media, progress, and the indexes of their lists. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Kinds1763680000000 implements MigrationInterface {
  readonly name = 'Kinds1763680000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table tasks
        add column media jsonb,
        add column progress jsonb,
        add column start_by timestamptz,
        add column timeout_ms int,
        add column fallback_models jsonb,
        add column work float8 not null default 1,
        add column estimate_ms int,
        add column began_at timestamptz,
        add column retry_of text;
      create index tasks_by_status on tasks (workspace_id, status, id);
      create index tasks_by_kind on tasks (workspace_id, kind, id);
      create index tasks_by_model on tasks (workspace_id, model, id);
      create index tasks_by_metadata on tasks using gin (metadata jsonb_path_ops);
      create index tasks_scheduled on tasks (run_at) where status = 'scheduled';
      create index tasks_start_by on tasks (start_by) where start_by is not null and status in ('scheduled', 'queued');
      create index tasks_deadline on tasks (deadline)
        where deadline is not null and status in ('scheduled', 'queued', 'running');
      alter table attempts add column work float8 not null default 1;
      create index attempts_timed on attempts (model, id) where outcome = 'succeeded' and task_id is not null;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop index attempts_timed;
      alter table attempts drop column work;
      drop index tasks_by_status, tasks_by_kind, tasks_by_model, tasks_by_metadata, tasks_scheduled, tasks_start_by,
        tasks_deadline;
      alter table tasks
        drop column retry_of, drop column began_at, drop column estimate_ms, drop column work, drop column fallback_models,
        drop column timeout_ms, drop column start_by, drop column progress, drop column media;`);
  }
}
