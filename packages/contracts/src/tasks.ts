/** Tasks: one request of one kind, from its creation to its end. Times are Unix seconds. */
import { z } from 'zod';
import { wireError } from './errors.ts';
import {
  integer,
  metadataSchema,
  modelName,
  numberIn,
  optional,
  queryInteger,
  queryNumber,
  storedText,
  timestamp,
  withDefault,
} from './fields.ts';
import { idSchema } from './ids.ts';
import { pageQuery } from './pages.ts';
import { subjectWebhook, taskWebhookBody } from './subject-webhooks.ts';

export const taskStatuses = [
  'scheduled',
  'queued',
  'running',
  'succeeded',
  'failed',
  'canceled',
  'expired',
] as const;
export type TaskStatus = (typeof taskStatuses)[number];

const yearMs = 366 * 86_400_000;

/** A time in a request: Unix seconds or ISO 8601, at most a year from now. */
const requestTime = z
  .union(
    [
      z
        .number()
        .min(0)
        .max(2 ** 40)
        .transform((seconds) => new Date(seconds * 1_000)),
      z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
    ],
    {
      error: 'it must be Unix seconds, or a time like 2026-01-31T12:00:00Z',
    },
  )
  .refine((time) => time.getTime() < Date.now() + yearMs, 'it must be at most a year from now');

/** How a task is run. */
const taskRunOptions = z.strictObject({
  /** 0 is the highest. A task waits for all tasks with a higher priority. */
  priority: withDefault(integer(-100, 0), 0),
  /** Earliest start. */
  run_at: optional(requestTime),
  /** The task expires if it has not ended by then. */
  deadline: optional(requestTime),
  /** Seconds from its earliest start; the task expires if it has not started by then. */
  start_timeout: optional(numberIn(0.001, 86_400 * 30)),
  /** Time limit of one provider call, in seconds. */
  timeout: optional(numberIn(0.001, 86_400 * 30)),
  fallback_models: optional(z.array(modelName).min(1).max(8)),
});

/** What a task runs. Also the body of a batch line whose url is `/v1/tasks`. The kind's schema checks `input`. */
export const taskRequest = z.strictObject({
  /** `auto`: chosen from the model and the input. */
  kind: withDefault(storedText(1, 64), 'auto'),
  model: modelName,
  input: z.record(z.string(), z.unknown()),
  options: optional(z.record(z.string(), z.unknown())),
  metadata: optional(metadataSchema),
});
export type TaskRequestBody = z.output<typeof taskRequest>;

/** Strict: an unknown field is an error instead of being ignored. */
export const createTaskBody = taskRequest
  .extend(taskRunOptions.shape)
  .extend({ webhook: optional(taskWebhookBody) })
  .refine(({ deadline, run_at }) => !deadline || deadline > (run_at ?? new Date()), {
    path: ['deadline'],
    error: 'it must be after the earliest start of the task',
  });
export type CreateTaskBody = z.output<typeof createTaskBody>;

/** Without `webhook`, the retry has the webhook of the task that it retries; with null, none. */
export const retryTaskBody = optional(z.strictObject({ webhook: taskWebhookBody.nullish() }));
export type RetryTaskBody = z.output<typeof retryTaskBody>;

/** A time in a query string: Unix seconds. */
const querySeconds = queryNumber(0, 2 ** 40);

const taskListFields = pageQuery({ max: 100, default: 20 }).extend({
  status: optional(z.enum(taskStatuses)),
  kind: optional(storedText(0, 64)),
  model: optional(storedText(0, 256)),
  created_after: optional(querySeconds),
  created_before: optional(querySeconds),
  /** A pair as JSON, e.g. `{"job":"7"}`, or as `metadata[job]=7`. */
  metadata: z
    .preprocess(
      (value) => (typeof value === 'string' ? parseJson(value) : (value ?? undefined)),
      metadataSchema.optional(),
    )
    .optional(),
});
/** `metadata[job]=7` becomes a field of `metadata`. */
export const taskListQuery = z.preprocess((input) => {
  const entries = Object.entries((input ?? {}) as Record<string, unknown>);
  const pairs = entries.flatMap(([name, value]) => {
    const key = /^metadata\[(.*)\]$/s.exec(name)?.[1];
    return key === undefined ? [] : [[key, value] as const];
  });
  if (pairs.length === 0) return input;
  return { ...Object.fromEntries(entries), metadata: Object.fromEntries(pairs) };
}, taskListFields);
export type TaskListQuery = z.output<typeof taskListQuery>;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** Which of the output's media to send. */
export const outputQuery = z.object({ index: withDefault(queryInteger(0, 1e6), 0) });

/** Why a task failed, with the HTTP status that the provider's answer is mapped to. */
export const taskError = wireError.extend({
  status: z.int(),
  /** Seconds after which the same request may succeed, if the provider says so. */
  retry_after: z.int().nonnegative().optional(),
});
export type TaskError = z.output<typeof taskError>;

const count = z.int().nonnegative();

/** A task in a list: without its input and output. */
export const taskSummary = z.object({
  id: idSchema('task'),
  object: z.literal('task'),
  kind: z.string(),
  model: z.string(),
  status: z.enum(taskStatuses),
  priority: z.int().min(-100).max(0),
  /** Number of attempts started. */
  attempt: count,
  created_at: timestamp,
  run_at: timestamp.nullable(),
  deadline: timestamp.nullable(),
  /** Start of the latest attempt. */
  started_at: timestamp.nullable(),
  finished_at: timestamp.nullable(),
  error: taskError.nullable(),
  usage: z.object({ input_tokens: count, output_tokens: count, total_tokens: count }).nullable(),
  metadata: z.record(z.string(), z.string()).nullable(),
});
export type TaskSummary = z.output<typeof taskSummary>;

export const taskProgress = z.object({
  /** 0 to 100, never decreasing; null if unknown. */
  percent: z.number().min(0).max(100).nullable(),
  /** `upstream`: reported by the provider. `estimate`: from the duration of similar tasks. `none`: unknown. */
  source: z.enum(['upstream', 'estimate', 'none']),
  elapsed_seconds: z.number().nonnegative(),
  /** Duration of similar tasks; null if none was measured. */
  estimated_seconds: z.number().nonnegative().nullable(),
  /** Position in the provider's own queue, if it reports one. */
  upstream_queue_position: z.number().nonnegative().nullable(),
  stage: z.string().nullable(),
  log: z.string().nullable(),
});
export type TaskProgress = z.output<typeof taskProgress>;

export const taskObject = taskSummary.extend({
  /** The task that this one is a retry of. */
  retry_of: idSchema('task').nullable(),
  /** The task's own webhook, if it was created with one. */
  webhook: subjectWebhook.nullable(),
  /** Null before the first attempt. */
  progress: taskProgress.nullable(),
  /** While the task is queued: the number of tasks before it. */
  queue_position: count.nullable(),
  /** Estimated seconds until the task is done. */
  eta_seconds: count.nullable(),
  /** The response of the kind's endpoint; null until the task has succeeded, and if it is too large. */
  output: z.unknown(),
  /** Signed URL of an output that is too large for `output`; otherwise null. */
  output_url: z.string().nullable(),
});
export type TaskObject = z.output<typeof taskObject>;

/** One attempt: its durations in ms and its usage. */
export const taskAttempt = z.object({
  object: z.literal('task.attempt'),
  number: z.int().positive(),
  worker: z.string(),
  provider: z.string(),
  model: z.string(),
  started_at: timestamp,
  finished_at: timestamp.nullable(),
  outcome: z.string().nullable(),
  error_code: z.string().nullable(),
  queue_ms: z.number().nonnegative().nullable(),
  upstream_ms: z.number().nonnegative().nullable(),
  store_ms: z.number().nonnegative().nullable(),
  /** From the start of the last call to the first delta of a streamed answer. */
  first_token_ms: z.number().nonnegative().nullable(),
  input_tokens: count.nullable(),
  output_tokens: count.nullable(),
  /** Size of the request, and of the answer with its media. */
  input_bytes: count.nullable(),
  output_bytes: count.nullable(),
  images: count.nullable(),
  media_seconds: z.number().nonnegative().nullable(),
  /** US dollars as reported by the provider; null if it reports none. */
  reported_cost_usd: z.number().nullable(),
  /** US dollars by the price table; null if the table has no price for the model. */
  estimated_cost_usd: z.number().nullable(),
});
export type TaskAttempt = z.output<typeof taskAttempt>;
