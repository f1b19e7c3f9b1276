/** Checkpoints of paid lines, reopened chunks, and the composition of output files. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Durability1763640000000 implements MigrationInterface {
  readonly name = 'Durability1763640000000';

  async up(runner: QueryRunner): Promise<void> {
    // Constant defaults: Postgres rewrites no row, however large the table is.
    await runner.query(`
      alter table batches
        add column reserved int not null default 0,
        add column told_tenths int not null default 0;
      alter table chunks
        add column place int,
        add column output_start bigint,
        add column error_start bigint;
      create index chunks_reopened on chunks (batch_id, place) where place is not null and status <> 'done';

      create table checkpoints (
        batch_id text not null references batches on delete cascade,
        chunk int not null,
        object_key text not null,
        bytes bigint not null,
        primary key (batch_id, chunk, object_key)
      );
      create index checkpoints_object on checkpoints (object_key);

      create table compositions (
        file_id text primary key references files on delete cascade,
        batch_id text not null references batches on delete cascade,
        since timestamptz not null default now()
      );

      create table retired_objects (
        object_key text primary key,
        file_id text references files on delete set null,
        due_at timestamptz not null
      );
      create index retired_objects_due on retired_objects (due_at);`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table retired_objects, compositions, checkpoints;
      drop index chunks_reopened;
      alter table chunks drop column error_start, drop column output_start, drop column place;
      alter table batches drop column told_tenths, drop column reserved;`);
  }
}
