/** Rows of a database before `PlainNames1763720000000`, and the same rows as they are read after it. */
import type { DataSource } from 'typeorm';

/** One row in every table whose columns, name or values the migration changes. */
export async function insertOldRows(source: DataSource): Promise<void> {
  await source.query(`
    insert into workspaces (id, name, operates) values ('ws_1', 'Default', true);
    insert into files (id, workspace_id, purpose, filename, bytes, lines) values ('file_1', 'ws_1', 'batch', 'a.jsonl', 1, 1);
    insert into batches (id, workspace_id, input_file_id, endpoint, kind, model, provider, pool, completion_window, status,
        plan_delivery, reserved, told_tenths, chunk_count, expires_at)
      values ('batch_1', 'ws_1', 'file_1', '/v1/embeddings', 'embeddings', 'sandbox/embeddings', 'sandbox', 'remote', '24h',
        'in_progress', 3, 1, 4, 2, now() + interval '1 day');
    insert into chunks (batch_id, index, workspace_id, status, attempt, delivery, halved_at, place, first_line, lines,
        byte_start, byte_length, queued_at)
      values ('batch_1', 0, 'ws_1', 'running', 2, 2, 1, 7, 1, 10, 0, 100, now());
    insert into attempts (workspace_id, batch_id, chunk, number, worker_id, provider, model, outcome, error_code, done_as)
      values ('ws_1', 'batch_1', 0, 1, 'w', 'sandbox', 'sandbox/embeddings', 'failed', 'chunk_halved', null),
        ('ws_1', 'batch_1', 0, 2, 'w', 'sandbox', 'sandbox/embeddings', null, null, null),
        ('ws_1', 'batch_1', 1, 1, 'w', 'sandbox', 'sandbox/embeddings', 'succeeded', null, 1);
    insert into tasks (id, workspace_id, kind, model, provider, pool, status, delivery, began_at, progress)
      values ('task_1', 'ws_1', 'embeddings', 'sandbox/embeddings', 'sandbox', 'remote', 'running', 2, '2026-01-01Z',
        '{"percent": 50, "floor": 12, "told": 50, "toldAt": "2026-01-01T00:00:00Z"}');
    insert into turns (pool, workspace_id, started, served) values ('remote', 'ws_1', 100, 135);
    insert into collections (name, after_key, began_at) values ('garbage', 'ws_1/files/x', '2026-01-01Z');
    insert into model_wishes (model, is_wanted) values ('local/demo-embedder', true);
    insert into compositions (file_id, batch_id, since) values ('file_1', 'batch_1', '2026-01-01Z');
    insert into feeds (workspace_id, position, forgotten, forgotten_until) values ('ws_1', 9, 4, '2026-01-01Z');
    insert into events (id, workspace_id, subject, sequence, type, data, feed_position)
      values ('evt_1', 'ws_1', 'task_1', 1, 'task.queued', '{"id": "task_1"}', 5);
    insert into webhook_endpoints (id, workspace_id, name, url, event_types, secret_sealed, rate_at, failures, failed_at)
      values ('we_1', 'ws_1', 'hook', 'https://example.com/', '{*}', 'x', '2026-01-01Z', 3, '2026-01-02Z');
    insert into deliveries (id, workspace_id, endpoint_id, event_id, position, tries, step, next_try_at)
      values ('del_1', 'ws_1', 'we_1', 'evt_1', 5, 6, 2, '2026-01-03Z');
    insert into delivery_attempts (delivery_id, number, workspace_id, started_at, duration_ms, url, request_headers,
        response_cut, next_try_at)
      values ('del_1', 1, 'ws_1', '2026-01-01Z', 5, 'https://example.com/', '{}', true, '2026-01-03Z');
    insert into usage_hours values ('ws_1', '2026-01-01Z', 'm', 'p', 'k', '', false, '', 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
      0, 0, 0, 0, 8, '{"worker_lost": 2, "chunk_halved": 1, "provider_error": 3}');`);
}

/** The values of those rows, under the new names. The end of an attempt runs the renamed trigger. */
export async function readMigratedRows(source: DataSource): Promise<Record<string, unknown>> {
  await source.query(`update attempts set outcome = 'lost', finished_at = now() where outcome is null`);
  const queries = {
    workspace: 'select operates_instance from workspaces',
    batch: 'select plan_generation, chunks_reopened, published_tenths from batches',
    chunk: 'select generation, split_attempt, completion_order from chunks',
    attempts: 'select number, outcome, error_code, completion_order from attempts order by chunk, number',
    task: 'select generation, run_started_at, progress from tasks',
    fairQueueTags: 'select lane from fair_queue_tags',
    garbageCollection: 'select name, after_key, started_at from garbage_collections',
    desiredModel: 'select model, is_desired from desired_models',
    composition: 'select file_id, due_at from compositions',
    feed: 'select position, deleted_up_to_position, deleted_up_to_time from feeds',
    webhookEndpoint: 'select rate_updated_at, consecutive_failures, last_failed_at from webhook_endpoints',
    delivery: 'select feed_position, attempt_count, schedule_step, next_attempt_at from deliveries',
    deliveryAttempt: 'select response_truncated, next_attempt_at from delivery_attempts',
    usageHour: 'select first_token_count, errors from usage_hours',
    usageEntry: 'select attempts, errors from usage_entries',
  };
  const rows: Record<string, unknown> = {};
  for (const [name, sql] of Object.entries(queries)) rows[name] = await source.query(sql);
  return rows;
}

const day = (number: number) => new Date(Date.UTC(2026, 0, number));

/** What `readMigratedRows` returns. This connection reads bigint as text. */
export const migratedRows = {
  workspace: [{ operates_instance: true }],
  batch: [{ plan_generation: 3, chunks_reopened: 1, published_tenths: 4 }],
  chunk: [{ generation: 2, split_attempt: 1, completion_order: 7 }],
  attempts: [
    { number: 1, outcome: 'failed', error_code: 'chunk_split', completion_order: null },
    { number: 2, outcome: 'lost', error_code: null, completion_order: null },
    { number: 1, outcome: 'succeeded', error_code: null, completion_order: 1 },
  ],
  task: [
    {
      generation: 2,
      run_started_at: day(1),
      progress: { percent: 50, minPercent: 12, publishedPercent: 50, publishedAt: '2026-01-01T00:00:00Z' },
    },
  ],
  fairQueueTags: [],
  garbageCollection: [{ name: 'garbage', after_key: 'ws_1/files/x', started_at: day(1) }],
  desiredModel: [{ model: 'local/demo-embedder', is_desired: true }],
  composition: [{ file_id: 'file_1', due_at: day(1) }],
  feed: [{ position: '9', deleted_up_to_position: '4', deleted_up_to_time: day(1) }],
  webhookEndpoint: [{ rate_updated_at: day(1), consecutive_failures: 3, last_failed_at: day(2) }],
  delivery: [{ feed_position: '5', attempt_count: 6, schedule_step: 2, next_attempt_at: day(3) }],
  deliveryAttempt: [{ response_truncated: true, next_attempt_at: day(3) }],
  usageHour: [{ first_token_count: '8', errors: { chunk_split: 1, attempt_lost: 2, provider_error: 3 } }],
  usageEntry: [{ attempts: '1', errors: { attempt_lost: 1 } }],
};
