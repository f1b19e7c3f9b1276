/** A request for a new task, from `/v1/tasks` or from an endpoint of OpenAI's API. */
import type { NewTask, NewWebhookEndpoint } from '#database';

export interface TaskRequest {
  readonly kind: string;
  /** The kind's fields with `model` and `metadata`, not yet parsed. */
  readonly body: unknown;
  /** Where the fields are in the request, e.g. `input.`. Used in error messages. @default '' */
  readonly paramPrefix?: string;
  /** What the request calls a field of the kind, where it has another name. */
  readonly fieldNames?: Readonly<Record<string, string>>;
  readonly runOptions?: Partial<TaskRunOptions>;
  readonly buildWebhook?: BuildTaskWebhook | null;
}

/**
 * Builds the webhook endpoint of one task. `secret` is set if it was created here: the response shows it once.
 * @throws InvalidInput if events may not be sent to its URL.
 */
export type BuildTaskWebhook = (
  taskId: string,
) => Promise<{ readonly endpoint: NewWebhookEndpoint; readonly secret?: string | undefined }>;

export type TaskRunOptions = Pick<
  NewTask,
  'priority' | 'runAt' | 'deadline' | 'timeoutMs' | 'patienceMs' | 'fallbackModels' | 'retryOf'
> & {
  /** Seconds after `runAt` until which the task must have started. */
  readonly startTimeoutS: number | null;
};
