/** Creates a task from the body of `POST /v1/tasks`, and waits for its end if the client asks for it. */
import type { CreateTaskBody } from '@millrace/contracts';
import { buildTaskBody } from '#catalogue';
import { parseIdempotencyKey } from '../http/idempotency.ts';
import { buildSubjectWebhook } from '../webhooks/subject-webhook.ts';
import type { WebhookTools } from '../webhooks/webhook-tools.ts';
import type { SubmitTask, TaskOwner } from './submit-task.ts';
import type { TaskRunOptions } from './task-request.ts';

export interface CreateTaskOptions {
  readonly idempotencyKey: string | undefined;
  /** 0: the client does not wait for the end of the task. */
  readonly waitMs: number;
  /** Ends the wait when the client disconnects. */
  readonly signal: AbortSignal;
}

export interface CreatedTask {
  readonly taskId: string;
  /** Whether the task ended during the wait. */
  readonly hasEnded: boolean;
  /** Secret of the webhook endpoint that was created with the task. */
  readonly webhookSecret?: string | undefined;
}

/** @throws InvalidInput, Conflict, OverLimit, Unavailable */
export type CreateTask = (
  owner: TaskOwner,
  body: CreateTaskBody,
  options: CreateTaskOptions,
) => Promise<CreatedTask>;
export const CREATE_TASK = Symbol('create task');

export interface CreateTaskDeps {
  readonly submit: SubmitTask;
  readonly webhookTools: WebhookTools;
}

export function createTaskWith({ submit, webhookTools }: CreateTaskDeps): CreateTask {
  return async (owner, body, { idempotencyKey, waitMs, signal }) => {
    const { kind, webhook } = body;
    const request = {
      kind,
      body: buildTaskBody(body),
      paramPrefix: 'input.',
      runOptions: buildRunOptions(body, waitMs),
      buildWebhook: webhook ? (id: string) => buildSubjectWebhook(id, webhook, webhookTools) : null,
    };
    const idempotency = parseIdempotencyKey(idempotencyKey, body, 'POST /v1/tasks');
    const { taskId, webhookSecret, waiter } = await submit(owner, request, idempotency);
    const end = waitMs > 0 ? await waiter.wait(waitMs, signal) : null;
    waiter.cancel();
    return { taskId, webhookSecret, hasEnded: end !== null };
  };
}

function buildRunOptions(body: CreateTaskBody, waitMs: number): TaskRunOptions {
  const { priority, run_at, deadline, start_timeout, timeout, fallback_models } = body;
  return {
    priority,
    runAt: run_at ?? null,
    deadline: deadline ?? null,
    startTimeoutS: start_timeout ?? null,
    timeoutMs: timeout === undefined ? null : Math.round(timeout * 1_000),
    patienceMs: waitMs > 0 ? waitMs : null,
    fallbackModels: fallback_models ?? null,
    retryOf: null,
  };
}
