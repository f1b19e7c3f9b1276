/** Tasks on the wire: one request of one kind, from its creation to its end. Times are Unix seconds. */
import { z } from 'zod';
import { metadataSchema } from './batches.ts';
import type { WireError } from './lines.ts';
import { pageQuery } from './pages.ts';
import { taskWebhookBody, type BoundWebhook } from './webhooks.ts';

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

/** Why a task failed, with the HTTP status that its provider's answer amounts to. */
export interface TaskError extends WireError {
  status: number;
}

const yearMs = 366 * 86_400_000;

/** A moment as Unix seconds or ISO 8601, a year ahead at most. */
const moment = z
  .union(
    [
      z.number().transform((seconds) => new Date(seconds * 1_000)),
      z.iso.datetime({ offset: true }).transform((text) => new Date(text)),
    ],
    {
      error: 'give Unix seconds, or a time like 2026-01-31T12:00:00Z',
    },
  )
  .refine((time) => time.getTime() < Date.now() + yearMs, 'it lies more than a year ahead');

const modelName = z.string().min(1).max(256);

/** What says how a task is run, beside what it is. */
const taskLife = z.strictObject({
  /** 0 is as soon as may be; what is less waits for all that is more. */
  priority: z.int().min(-100).max(0).default(0),
  /** Not before. */
  run_at: moment.optional(),
  /** Expires when it has not ended by then. */
  deadline: moment.optional(),
  /** Seconds from when it may run: expires when it has not begun by then. */
  start_timeout: z
    .number()
    .positive()
    .max(86_400 * 30)
    .optional(),
  /** Seconds that one call of the provider may take. */
  timeout: z.number().positive().optional(),
  fallback_models: z.array(modelName).min(1).max(8).optional(),
});

/** What a task is; also the body of a batch's line whose url is `/v1/tasks`. What `input` may hold is the kind's business. */
export const taskRequest = z.strictObject({
  /** `auto` works it out from the model and the input. */
  kind: z.string().min(1).max(64).default('auto'),
  model: modelName,
  input: z.record(z.string(), z.unknown()),
  options: z.record(z.string(), z.unknown()).optional(),
  metadata: metadataSchema.nullish(),
});
export type TaskRequestBody = z.output<typeof taskRequest>;

/** Strict: a field that would be ignored is refused. */
export const createTaskBody = taskRequest
  .extend(taskLife.shape)
  .extend({ webhook: taskWebhookBody.nullish() })
  .refine(({ deadline, run_at }) => !deadline || deadline > (run_at ?? new Date()), {
    path: ['deadline'],
    error: 'it has passed before the task may run',
  });
export type CreateTaskBody = z.output<typeof createTaskBody>;

/** A retry without a webhook of its own keeps the one of the task that it retries; null: none. */
export const retryTaskBody = z.strictObject({ webhook: taskWebhookBody.nullish() }).optional();
export type RetryTaskBody = z.output<typeof retryTaskBody>;

/** A moment in the query: Unix seconds. */
const second = z.coerce
  .number()
  .min(0)
  .max(2 ** 40);

export const taskListQuery = pageQuery({ max: 100, default: 20 }).extend({
  status: z.enum(taskStatuses).optional(),
  kind: z.string().max(64).optional(),
  model: z.string().max(256).optional(),
  created_after: second.optional(),
  created_before: second.optional(),
  /** A pair as JSON, e.g. `{"job":"7"}`, or as `metadata[job]=7`. */
  metadata: z
    .preprocess(
      (value) => (typeof value === 'string' ? parseJson(value) : value),
      z.record(z.string(), z.string(), { error: 'metadata is JSON like {"job":"7"}' }),
    )
    .optional(),
});
export type TaskListQuery = z.output<typeof taskListQuery>;

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** A task as a list shows it: without what went in and came out. */
export interface TaskSummary {
  id: string;
  object: 'task';
  kind: string;
  model: string;
  status: TaskStatus;
  priority: number;
  /** Tries begun; 0 before the first. */
  attempt: number;
  created_at: number;
  run_at: number | null;
  deadline: number | null;
  /** Of the newest try. */
  started_at: number | null;
  finished_at: number | null;
  error: TaskError | null;
  usage: { input_tokens: number; output_tokens: number; total_tokens: number } | null;
  metadata: Record<string, string> | null;
}

/** How far a task is, and how that is known. */
export interface TaskProgress {
  /** 0 to 100, never less than before; null where nothing tells. */
  percent: number | null;
  /** `upstream`: as the provider says. `estimate`: by the time that like tasks took. `none`: it is not known. */
  source: 'upstream' | 'estimate' | 'none';
  elapsed_seconds: number;
  /** How long like tasks took, where some were measured. */
  estimated_seconds: number | null;
  /** Place in the provider's own queue, where it tells. */
  upstream_queue_position: number | null;
  stage: string | null;
  log: string | null;
}

export interface TaskObject extends TaskSummary {
  /** The task that this one is another try at. */
  retry_of: string | null;
  /** Where its events are sent, where the task itself named an address. */
  webhook: BoundWebhook | null;
  /** While it runs, and after. */
  progress: TaskProgress | null;
  /** While it is queued: how many are before it, and when it should be done. */
  queue_position: number | null;
  eta_seconds: number | null;
  /** What the kind's endpoint would have answered; null until it succeeded, and where it is too large. */
  output: unknown;
  /** A signed address of an output that is too large to be here; null otherwise. */
  output_url: string | null;
}

/** One try: how long it was queued, upstream, and being stored, in ms, and what it has used. */
export interface TaskAttempt {
  object: 'task.attempt';
  number: number;
  worker: string;
  provider: string;
  model: string;
  started_at: number;
  finished_at: number | null;
  outcome: string | null;
  error_code: string | null;
  queue_ms: number | null;
  upstream_ms: number | null;
  store_ms: number | null;
  /** From the last call's beginning to the first piece of a streamed answer. */
  first_token_ms: number | null;
  input_tokens: number | null;
  output_tokens: number | null;
  /** Of the request and the answer, the answer's media included. */
  input_bytes: number | null;
  output_bytes: number | null;
  images: number | null;
  media_seconds: number | null;
  /** US dollars as the provider has said; null where it says nothing. */
  reported_cost_usd: number | null;
  /** US dollars by the table of prices; null where that has none for the model. */
  estimated_cost_usd: number | null;
}

/** Which of an output's media is wanted. */
export const outputQuery = z.object({ index: z.coerce.number().int().min(0).default(0) });
