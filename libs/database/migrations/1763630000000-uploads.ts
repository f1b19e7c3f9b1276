/** Uploads in parts, and batches with compressed results. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Uploads1763630000000 implements MigrationInterface {
  readonly name = 'Uploads1763630000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      create table uploads (
        id text primary key,
        workspace_id text not null references workspaces on delete cascade,
        filename text not null,
        mime_type text not null,
        purpose text not null,
        bytes bigint not null,
        expires_after_s int,
        status text not null default 'pending' check (status in ('pending', 'completed', 'cancelled', 'expired')),
        parts int not null default 0,
        part_bytes bigint not null default 0,
        part_ids text[],
        file_id text references files on delete set null,
        created_at timestamptz not null default now(),
        expires_at timestamptz not null,
        completing_at timestamptz,
        ended_at timestamptz
      );
      create index uploads_pending on uploads (expires_at) where status = 'pending';

      create table upload_parts (
        id text primary key,
        upload_id text not null references uploads on delete cascade,
        object_key text not null,
        bytes bigint not null,
        breaks bigint not null,
        lines bigint not null,
        head bytea not null,
        head_text int not null,
        tail_filled boolean not null,
        first_start bigint not null,
        entries bytea not null,
        created_at timestamptz not null default now()
      );
      create index upload_parts_upload on upload_parts (upload_id);
      create index upload_parts_object on upload_parts (object_key);

      alter table file_segments
        add column first_line bigint not null default 0,
        add column first_start bigint not null default 0;

      alter table batches add column output_format text not null default 'jsonl'
        check (output_format in ('jsonl', 'jsonl.gz'));`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      alter table batches drop column output_format;
      alter table file_segments drop column first_start, drop column first_line;
      drop table upload_parts, uploads;`);
  }
}
