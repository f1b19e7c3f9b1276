/** Renames columns, tables, indexes and stored codes to the words of the glossary in docs/architecture.md. */
import type { MigrationInterface, QueryRunner } from 'typeorm';

type Pair = readonly [from: string, to: string];

const tables: readonly Pair[] = [
  ['turns', 'fair_queue_tags'],
  ['collections', 'garbage_collections'],
  ['model_wishes', 'desired_models'],
];

/** Columns by the new name of their table. */
const columns: Readonly<Record<string, readonly Pair[]>> = {
  workspaces: [['operates', 'operates_instance']],
  tasks: [
    ['delivery', 'generation'],
    ['began_at', 'run_started_at'],
  ],
  batches: [
    ['plan_delivery', 'plan_generation'],
    ['reserved', 'chunks_reopened'],
    ['told_tenths', 'published_tenths'],
  ],
  chunks: [
    ['delivery', 'generation'],
    ['halved_at', 'split_attempt'],
    ['place', 'completion_order'],
  ],
  attempts: [['done_as', 'completion_order']],
  desired_models: [['is_wanted', 'is_desired']],
  fair_queue_tags: [
    ['started', 'start_tag'],
    ['served', 'finish_tag'],
  ],
  garbage_collections: [['began_at', 'started_at']],
  compositions: [['since', 'due_at']],
  feeds: [
    ['forgotten', 'deleted_up_to_position'],
    ['forgotten_until', 'deleted_up_to_time'],
  ],
  webhook_endpoints: [
    ['rate_at', 'rate_updated_at'],
    ['failures', 'consecutive_failures'],
    ['failed_at', 'last_failed_at'],
  ],
  deliveries: [
    ['tries', 'attempt_count'],
    ['step', 'schedule_step'],
    ['position', 'feed_position'],
    ['next_try_at', 'next_attempt_at'],
  ],
  delivery_attempts: [
    ['response_cut', 'response_truncated'],
    ['next_try_at', 'next_attempt_at'],
  ],
  usage_hours: [['first_tokens', 'first_token_count']],
  usage_entries: [['first_tokens', 'first_token_count']],
};

const indexes: readonly Pair[] = [
  ['turns_pkey', 'fair_queue_tags_pkey'],
  ['collections_pkey', 'garbage_collections_pkey'],
  ['model_wishes_pkey', 'desired_models_pkey'],
  ['events_unstamped', 'events_unpublished'],
  ['events_one_end', 'events_one_terminal'],
  ['attempts_done', 'attempts_completion_order'],
  ['chunks_flight', 'chunks_in_flight'],
];

/** Error codes of attempts, and the counts of them in the sums of usage. */
const codes: readonly Pair[] = [
  ['chunk_halved', 'chunk_split'],
  ['worker_lost', 'attempt_lost'],
];

/** Keys in `tasks.progress`. */
const progressKeys: readonly Pair[] = [
  ['floor', 'minPercent'],
  ['told', 'publishedPercent'],
  ['toldAt', 'publishedAt'],
];

export class PlainNames1763720000000 implements MigrationInterface {
  readonly name = 'PlainNames1763720000000';

  async up(runner: QueryRunner): Promise<void> {
    for (const statement of [...renameTables(tables), ...renameColumns(false), ...renameIndexes(indexes)]) {
      await runner.query(statement);
    }
    await runner.query(`
      alter function enter_usage() rename to record_usage;
      ${recordUsage('record_usage', 'attempt_lost')}`);
    for (const statement of renameValues(codes, progressKeys)) await runner.query(statement);
  }

  async down(runner: QueryRunner): Promise<void> {
    for (const statement of renameValues(reverse(codes), reverse(progressKeys))) {
      await runner.query(statement);
    }
    await runner.query(`
      alter function record_usage() rename to enter_usage;
      ${recordUsage('enter_usage', 'worker_lost')}`);
    for (const statement of [
      ...renameIndexes(reverse(indexes)),
      ...renameColumns(true),
      ...renameTables(reverse(tables)),
    ]) {
      await runner.query(statement);
    }
  }
}

const reverse = (pairs: readonly Pair[]): Pair[] => pairs.map(([from, to]) => [to, from]);

const renameTables = (pairs: readonly Pair[]) =>
  pairs.map(([from, to]) => `alter table ${from} rename to ${to}`);

const renameIndexes = (pairs: readonly Pair[]) =>
  pairs.map(([from, to]) => `alter index ${from} rename to ${to}`);

function renameColumns(back: boolean): string[] {
  return Object.entries(columns).flatMap(([table, pairs]) =>
    (back ? reverse(pairs) : pairs).map(
      ([from, to]) => `alter table ${table} rename column ${from} to ${to}`,
    ),
  );
}

function renameValues(codePairs: readonly Pair[], progressPairs: readonly Pair[]): string[] {
  return [
    ...codePairs.map(([from, to]) => `update attempts set error_code = '${to}' where error_code = '${from}'`),
    ...['usage_hours', 'usage_entries'].flatMap((table) =>
      codePairs.map(([from, to]) => renameKey(table, 'errors', from, to)),
    ),
    ...progressPairs.map(([from, to]) => renameKey('tasks', 'progress', from, to)),
  ];
}

const renameKey = (table: string, column: string, from: string, to: string): string =>
  `update ${table} set ${column} = (${column} - '${from}') || jsonb_build_object('${to}', ${column} -> '${from}')
   where ${column} ? '${from}'`;

/** The trigger of `1763690000000-usage.ts`. @param lostCode the error code under which lost attempts are counted. */
const recordUsage = (name: string, lostCode: string): string => `
  create or replace function ${name}() returns trigger language plpgsql as $$
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
        when new.outcome = 'lost' then '{"${lostCode}": 1}'
        else '{}' end);
    return null;
  end $$;`;
