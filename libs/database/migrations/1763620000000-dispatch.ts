/** Fair queueing of chunks, garbage collection, and the split of chunks whose workers crash. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Dispatch1763620000000 implements MigrationInterface {
  readonly name = 'Dispatch1763620000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create index file_segments_object on file_segments (object_key);

      alter table chunks add column halved_at int not null default 0;
      create index attempts_speed on attempts (model, id) where outcome = 'succeeded';
      create index chunks_delayed on chunks (batch_id) where status = 'pending' and not_before is not null;

      create table turns (
        pool text not null,
        workspace_id text not null references workspaces on delete cascade,
        started bigint not null,
        served bigint not null,
        primary key (pool, workspace_id)
      );

      create table collections (
        name text primary key,
        after_key text not null default '',
        began_at timestamptz not null default now(),
        ended_at timestamptz
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table collections, turns;
      drop index file_segments_object, chunks_delayed, attempts_speed;
      alter table chunks drop column halved_at;`);
  }
}
