/** The first schema: workspaces and users, files, tasks, batches and chunks, the event feed, webhooks. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

export class InitialSchema1763600000000 implements MigrationInterface {
  readonly name = 'Spine1763600000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [tenants, files, work, feed, webhooks]) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      drop table deliveries, webhook_endpoints, leases, feeds, events, idempotency_keys, attempts, batch_errors,
        chunks, batches, tasks, workers, file_segments, files, api_keys, memberships, workspaces, users`);
  }
}

const tenants = `
  create table users (
    id text primary key,
    email text not null,
    name text,
    password_hash text not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz
  );
  create unique index users_email on users (lower(email));

  create table workspaces (
    id text primary key,
    name text not null,
    created_at timestamptz not null default now()
  );

  create table memberships (
    workspace_id text not null references workspaces on delete cascade,
    user_id text not null references users on delete cascade,
    role text not null check (role in ('owner', 'admin', 'member', 'viewer')),
    created_at timestamptz not null default now(),
    primary key (workspace_id, user_id)
  );
  create index memberships_user on memberships (user_id);

  create table api_keys (
    id text primary key,
    workspace_id text not null references workspaces on delete cascade,
    created_by text references users on delete set null,
    name text not null,
    prefix text not null,
    hash bytea not null unique,
    scopes text[] not null default '{}',
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
  );
  create index api_keys_workspace on api_keys (workspace_id);`;

const files = `
  create table files (
    id text primary key,
    workspace_id text not null references workspaces on delete cascade,
    purpose text not null,
    filename text not null,
    bytes bigint not null,
    lines bigint not null,
    status text not null default 'processed' check (status in ('uploaded', 'processed', 'error')),
    status_details text,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    deleted_at timestamptz
  );
  create index files_listing on files (workspace_id, id) where deleted_at is null;

  create table file_segments (
    file_id text not null references files on delete cascade,
    position int not null,
    object_key text not null,
    bytes bigint not null,
    lines bigint not null,
    line_index bytea,
    primary key (file_id, position)
  );`;

const work = `
  create table workers (
    id text primary key,
    pools text[] not null,
    slots int not null,
    host text not null,
    pid int not null,
    started_at timestamptz not null default now(),
    seen_at timestamptz not null default now(),
    consuming boolean not null default true
  );

  create table tasks (
    id text primary key,
    workspace_id text not null references workspaces on delete cascade,
    kind text not null,
    model text not null,
    provider text not null,
    pool text not null,
    status text not null default 'queued'
      check (status in ('scheduled', 'queued', 'running', 'succeeded', 'failed', 'canceled', 'expired')),
    input jsonb not null,
    output jsonb,
    output_key text,
    error jsonb,
    metadata jsonb,
    priority int not null default 0,
    attempt int not null default 0,
    delivery int not null default 1,
    sequence int not null default 0,
    worker_id text,
    upstream_run_id text,
    run_at timestamptz,
    deadline timestamptz,
    created_at timestamptz not null default now(),
    started_at timestamptz,
    finished_at timestamptz
  );
  create index tasks_listing on tasks (workspace_id, id);
  create index tasks_open on tasks (status, id) where status in ('scheduled', 'queued', 'running');

  create table batches (
    id text primary key,
    workspace_id text not null references workspaces on delete cascade,
    input_file_id text not null references files,
    endpoint text not null,
    kind text not null,
    model text,
    provider text,
    pool text,
    completion_window text not null,
    output_expires_after_s int,
    metadata jsonb,
    status text not null default 'validating' check (status in
      ('validating', 'in_progress', 'finalizing', 'completed', 'failed', 'expired', 'cancelling', 'cancelled')),
    closing text check (closing in ('cancelled', 'expired')),
    output_file_id text references files,
    error_file_id text references files,
    plan_attempt int not null default 0,
    plan_delivery int not null default 1,
    planned_at timestamptz,
    chunk_count int not null default 0,
    chunks_done int not null default 0,
    total bigint not null default 0,
    completed bigint not null default 0,
    failed bigint not null default 0,
    canceled bigint not null default 0,
    expired bigint not null default 0,
    input_tokens bigint not null default 0,
    output_tokens bigint not null default 0,
    sequence int not null default 0,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    in_progress_at timestamptz,
    finalizing_at timestamptz,
    completed_at timestamptz,
    failed_at timestamptz,
    expired_at timestamptz,
    cancelling_at timestamptz,
    cancelled_at timestamptz
  );
  create index batches_listing on batches (workspace_id, id);
  create index batches_open on batches (status, id)
    where status in ('validating', 'in_progress', 'finalizing', 'cancelling');

  create table chunks (
    batch_id text not null references batches on delete cascade,
    index int not null,
    workspace_id text not null,
    status text not null default 'pending' check (status in ('pending', 'queued', 'running', 'done')),
    attempt int not null default 0,
    delivery int not null default 0,
    first_line bigint not null,
    lines int not null,
    byte_start bigint not null,
    byte_length bigint not null,
    worker_id text,
    not_before timestamptz,
    queued_at timestamptz,
    started_at timestamptz,
    finished_at timestamptz,
    completed int not null default 0,
    failed int not null default 0,
    canceled int not null default 0,
    expired int not null default 0,
    output_key text,
    output_bytes bigint,
    error_key text,
    error_bytes bigint,
    primary key (batch_id, index)
  );
  create index chunks_pending on chunks (batch_id, index) where status = 'pending';
  create index chunks_flight on chunks (status, queued_at) where status in ('queued', 'running');

  create table attempts (
    id bigint generated always as identity primary key,
    workspace_id text not null,
    task_id text references tasks on delete cascade,
    batch_id text references batches on delete cascade,
    chunk int,
    number int not null,
    worker_id text not null,
    provider text not null,
    model text not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    outcome text check (outcome in ('succeeded', 'failed', 'released', 'lost')),
    error_code text,
    lines int,
    input_tokens bigint,
    output_tokens bigint,
    queue_ms int,
    provider_ms int,
    store_ms int,
    latency_histogram jsonb,
    check ((task_id is null) <> (batch_id is null))
  );
  create unique index attempts_of_chunk on attempts (batch_id, chunk, number) where batch_id is not null;
  create unique index attempts_of_task on attempts (task_id, number) where task_id is not null;

  create table batch_errors (
    batch_id text not null references batches on delete cascade,
    position int not null,
    code text not null,
    message text not null,
    line bigint,
    param text,
    primary key (batch_id, position)
  );

  create table idempotency_keys (
    workspace_id text not null references workspaces on delete cascade,
    route text not null,
    key text not null,
    request_hash bytea not null,
    resource_id text not null,
    created_at timestamptz not null default now(),
    primary key (workspace_id, route, key)
  );
  create index idempotency_keys_age on idempotency_keys (created_at);`;

const feed = `
  create table events (
    number bigint generated always as identity primary key,
    id text not null unique,
    workspace_id text not null references workspaces on delete cascade,
    subject text not null,
    sequence int not null,
    type text not null,
    terminal boolean not null default false,
    data jsonb not null,
    created_at timestamptz not null default now(),
    feed_position bigint,
    unique (subject, sequence)
  );
  create unique index events_one_end on events (subject) where terminal;
  create unique index events_feed on events (workspace_id, feed_position) where feed_position is not null;
  create index events_unstamped on events (number) where feed_position is null;

  create table feeds (
    workspace_id text primary key references workspaces on delete cascade,
    position bigint not null
  );

  create table leases (
    name text primary key,
    holder text not null,
    epoch bigint not null,
    expires_at timestamptz not null
  );`;

const webhooks = `
  create table webhook_endpoints (
    id text primary key,
    workspace_id text not null references workspaces on delete cascade,
    name text not null,
    url text not null,
    event_types text[] not null,
    secret_sealed bytea not null,
    created_at timestamptz not null default now(),
    disabled_at timestamptz
  );
  create index webhook_endpoints_workspace on webhook_endpoints (workspace_id);

  create table deliveries (
    id text primary key,
    workspace_id text not null references workspaces on delete cascade,
    endpoint_id text not null references webhook_endpoints on delete cascade,
    event_id text not null references events (id) on delete cascade,
    status text not null default 'pending' check (status in ('pending', 'succeeded', 'failed')),
    tries int not null default 0,
    next_try_at timestamptz,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    unique (endpoint_id, event_id)
  );
  create index deliveries_due on deliveries (next_try_at) where status = 'pending';`;
