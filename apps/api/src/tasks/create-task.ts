/** Creates a task from the body of `POST /v1/tasks`. */
import type { CreateTaskBody } from '@millrace/contracts';
import { buildTaskBody } from '#catalogue';
import { parseIdempotencyKey } from '../http/idempotency.ts';
import { buildSubjectWebhook } from '../webhooks/subject-webhook.ts';
import type { WebhookTools } from '../webhooks/webhook-tools.ts';
import type { SubmittedTask, SubmitTask, TaskOwner } from './submit-task.ts';
import type { TaskRunOptions } from './task-request.ts';

/** @throws InvalidInput, Conflict, OverLimit, Unavailable */
export type CreateTask = (
  owner: TaskOwner,
  body: CreateTaskBody,
  idempotencyKey: string | undefined,
) => Promise<SubmittedTask>;
export const CREATE_TASK = Symbol('create task');

export interface CreateTaskDeps {
  readonly submit: SubmitTask;
  readonly webhookTools: WebhookTools;
}

export function createTaskWith({ submit, webhookTools }: CreateTaskDeps): CreateTask {
  return (owner, body, idempotencyKey) => {
    const { kind, webhook } = body;
    const request = {
      kind,
      body: buildTaskBody(body),
      paramPrefix: 'input.',
      runOptions: buildRunOptions(body),
      buildWebhook: webhook ? (id: string) => buildSubjectWebhook(id, webhook, webhookTools) : null,
    };
    return submit(owner, request, parseIdempotencyKey(idempotencyKey, body, 'POST /v1/tasks'));
  };
}

function buildRunOptions(body: CreateTaskBody): TaskRunOptions {
  const { priority, run_at, deadline, start_timeout, timeout, fallback_models } = body;
  return {
    priority,
    runAt: run_at ?? null,
    deadline: deadline ?? null,
    startTimeoutS: start_timeout ?? null,
    timeoutMs: timeout === undefined ? null : Math.round(timeout * 1_000),
    fallbackModels: fallback_models ?? null,
    retryOf: null,
  };
}
