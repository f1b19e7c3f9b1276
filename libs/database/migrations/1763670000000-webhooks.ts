/** Webhooks: settings and health of endpoints, the log of attempts, and the deletion of expired events. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class Webhooks1763670000000 implements MigrationInterface {
  readonly name = 'Webhooks1763670000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [endpoints, deliveries, retention]) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table delivery_attempts;
      drop function delivery_id();
      alter table deliveries reset (fillfactor);
      drop index deliveries_due, deliveries_order, deliveries_listing, deliveries_event, deliveries_age, events_age,
        webhook_endpoints_workspace, webhook_endpoints_subject;
      create index deliveries_due on deliveries (next_try_at) where status = 'pending';
      create index webhook_endpoints_workspace on webhook_endpoints (workspace_id);
      alter table feeds drop column forgotten, drop column forgotten_until;
      alter table deliveries drop column subject, drop column position, drop column step, drop column leased_by,
        drop column leased_until, drop column error_code;
      alter table webhook_endpoints drop column updated_at, drop column secret_hint, drop column old_secret_sealed,
        drop column old_secret_until, drop column header_names, drop column headers_sealed,
        drop column metadata_filter, drop column ordered, drop column rate_limit, drop column rate_tokens,
        drop column rate_at, drop column subject, drop column sequence, drop column disabled_reason,
        drop column failures, drop column failing_since, drop column failed_at, drop column paused_until;`);
  }
}

const endpoints = `
  alter table webhook_endpoints
    add column updated_at timestamptz not null default now(),
    add column secret_hint text,
    add column old_secret_sealed bytea,
    add column old_secret_until timestamptz,
    add column header_names text[] not null default '{}',
    add column headers_sealed bytea,
    add column metadata_filter jsonb,
    add column ordered text check (ordered in ('subject', 'feed')),
    add column rate_limit int,
    add column rate_tokens double precision not null default 0,
    add column rate_at timestamptz,
    add column subject text,
    add column sequence int not null default 0,
    add column disabled_reason text check (disabled_reason in ('gone', 'failing', 'request')),
    add column failures int not null default 0,
    add column failing_since timestamptz,
    add column failed_at timestamptz,
    add column paused_until timestamptz;
  -- Endpoints of single batches are many, and are only looked up by their batch.
  drop index webhook_endpoints_workspace;
  create index webhook_endpoints_workspace on webhook_endpoints (workspace_id, id) where subject is null;
  create unique index webhook_endpoints_subject on webhook_endpoints (subject) where subject is not null;`;

const deliveries = `
  alter table deliveries
    add column subject text not null default '',
    add column position bigint not null default 0,
    add column step int not null default 0,
    add column leased_by text,
    add column leased_until timestamptz,
    add column error_code text;
  drop index deliveries_due;
  create index deliveries_due on deliveries (endpoint_id, next_try_at, position) where status = 'pending';
  -- Leasing changes no indexed column: with free space on its page, a row gets a heap-only update.
  alter table deliveries set (fillfactor = 70);
  create index deliveries_order on deliveries (endpoint_id, position) where status = 'pending';
  create index deliveries_listing on deliveries (endpoint_id, id);
  create index deliveries_event on deliveries (event_id);
  create index deliveries_age on deliveries (finished_at) where status <> 'pending';

  create table delivery_attempts (
    delivery_id text not null references deliveries on delete cascade,
    number int not null,
    workspace_id text not null,
    started_at timestamptz not null,
    duration_ms int not null,
    url text not null,
    request_headers jsonb not null,
    status int,
    response_headers jsonb,
    response_body text,
    response_cut boolean not null default false,
    error_code text,
    error_message text,
    next_try_at timestamptz,
    primary key (delivery_id, number)
  );

  -- The same format as createId: a prefix and a UUIDv7 (RFC 9562 §5.7) in hex. Postgres has uuidv7() from version 18.
  create function delivery_id() returns text language sql volatile as $$
    select 'del_' || encode(
      set_bit(set_bit(
        overlay(uuid_send(gen_random_uuid())
          placing substring(int8send((extract(epoch from clock_timestamp()) * 1000)::bigint) from 3) from 1 for 6),
        52, 1), 53, 1), 'hex')
  $$;`;

const retention = `
  alter table feeds
    add column forgotten bigint not null default 0,
    add column forgotten_until timestamptz;
  create index events_age on events (created_at) where feed_position is not null;`;
