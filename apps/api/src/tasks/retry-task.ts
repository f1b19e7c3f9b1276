/** Retries a task that failed, expired or was canceled, as a new task: the state of an ended task does not change. */
import type { RetryTaskBody } from '@millrace/contracts';
import type { TaskStore, WebhookEndpointRow } from '#database';
import { Conflict, parseStoredJson } from '#domain';
import type { ObjectStorage } from '#storage';
import { parseIdempotencyKey } from '../http/idempotency.ts';
import { buildSubjectWebhook, copySubjectWebhook } from '../webhooks/subject-webhook.ts';
import type { WebhookTools } from '../webhooks/webhook-tools.ts';
import type { SubmittedTask, SubmitTask, TaskOwner } from './submit-task.ts';
import type { BuildTaskWebhook } from './task-request.ts';

/** @throws NotFound; Conflict `task_not_retryable`; what the submission of a task throws. */
export type RetryTask = (
  owner: TaskOwner,
  taskId: string,
  body: RetryTaskBody,
  idempotencyKey: string | undefined,
) => Promise<Omit<SubmittedTask, 'waiter'>>;
export const RETRY_TASK = Symbol('retry task');

export interface RetryTaskDeps {
  readonly tasks: Pick<TaskStore, 'get'>;
  readonly objects: Pick<ObjectStorage, 'read'>;
  readonly submit: SubmitTask;
  readonly webhookTools: WebhookTools;
}

export function retryTaskWith({ tasks, objects, submit, webhookTools }: RetryTaskDeps): RetryTask {
  return async (owner, taskId, retry, idempotencyKey) => {
    const task = await tasks.get(owner.workspaceId, taskId);
    if (!['failed', 'expired', 'canceled'].includes(task.status)) {
      throw new Conflict(
        `This task is ${task.status}. Only a failed, expired or canceled task can be retried.`,
        { code: 'task_not_retryable' },
      );
    }
    const { kind, input, inputKey, priority, timeoutMs, fallbackModels } = task;
    const request = {
      kind,
      body: inputKey ? parseStoredJson((await objects.read(inputKey)).toString()) : input,
      runOptions: { priority, timeoutMs, fallbackModels, retryOf: taskId },
      buildWebhook: chooseWebhook(retry, task.webhook, webhookTools),
    };
    const body = { retry: taskId, ...retry };
    const idempotency = parseIdempotencyKey(idempotencyKey, body, 'POST /v1/tasks');
    const { waiter, ...submitted } = await submit(owner, request, idempotency);
    waiter.cancel();
    return submitted;
  };
}

/** The webhook of the request; without one, that of the retried task, unless the request has `webhook: null`. */
function chooseWebhook(
  retry: RetryTaskBody,
  previous: WebhookEndpointRow | null,
  webhookTools: WebhookTools,
): BuildTaskWebhook | null {
  const { webhook } = retry ?? {};
  if (webhook) return (id) => buildSubjectWebhook(id, webhook, webhookTools);
  if (webhook === null || !previous) return null;
  return async (id) => ({ endpoint: copySubjectWebhook(id, previous, webhookTools.sealer) });
}
