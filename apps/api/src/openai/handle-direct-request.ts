/**
 * Handles a direct request of any OpenAI endpoint: submits its task, waits for the end, and replies in a format of the
 * endpoint's table entry. Every direct request is measured here.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EndedTask, TaskStore } from '#database';
import type { Fields, OpenAiEndpoint } from '#openai-endpoints';
import type { Bus } from '#realtime';
import type { ObjectStorage } from '#storage';
import { taskResponseSeconds } from '#telemetry';
import { createResponseAbortSignal } from '../http/client-disconnect.ts';
import { parseIdempotencyKey } from '../http/idempotency.ts';
import { extendSocketTimeout, sendTaskMedia, sendTaskOutput } from '../tasks/send-task-result.ts';
import type { SubmittedTask, SubmitTask, TaskOwner } from '../tasks/submit-task.ts';
import { parseRequest } from './parse-request.ts';
import { sendEvents } from './send-events.ts';

export interface DirectRequest {
  readonly endpoint: OpenAiEndpoint;
  readonly owner: TaskOwner;
  /** The parsed body of a JSON request. */
  readonly json: unknown;
  readonly idempotencyKey: string | undefined;
}

/** @throws what the submission of a task throws; the failure of a task that did not succeed. */
export type HandleDirectRequest = (
  direct: DirectRequest,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>;
export const HANDLE_DIRECT_REQUEST = Symbol('handle direct request');

export interface HandleDirectRequestDeps {
  readonly submit: SubmitTask;
  readonly tasks: Pick<TaskStore, 'get'>;
  readonly objects: ObjectStorage;
  readonly bus: Pick<Bus, 'subscribeStream'>;
  readonly maxWaitSeconds: number;
}

/**
 * How long a client waits for a provider that is down or limits requests. After that it gets the provider's error, and
 * `Retry-After`.
 */
const patienceMs = 10_000;

export function handleDirectRequestWith(deps: HandleDirectRequestDeps): HandleDirectRequest {
  return async ({ endpoint, owner, json, idempotencyKey }, request, reply) => {
    const startedAt = performance.now();
    const { body, task: parsed } = await parseRequest(endpoint, request, json);
    const task = { ...parsed, runOptions: { patienceMs } };
    const idempotency = parseIdempotencyKey(idempotencyKey, body, `POST ${endpoint.path}`);
    const waitMs = deps.maxWaitSeconds * 1_000;
    const signal = createResponseAbortSignal(reply);
    extendSocketTimeout(request, waitMs);

    const submit = async (beforeQueued?: (taskId: string) => Promise<void>) => {
      const submitted = await deps.submit(owner, task, idempotency, beforeQueued);
      void reply.header('x-millrace-task-id', submitted.taskId);
      return submitted;
    };
    const waitForEnd = async ({ kind, waiter }: SubmittedTask): Promise<EndedTask | null> => {
      const end = await waiter.wait(waitMs, signal);
      const seconds = (performance.now() - startedAt) / 1_000;
      taskResponseSeconds.observe({ kind, outcome: end?.status ?? 'unanswered' }, seconds);
      return end;
    };

    if (wantsEvents(endpoint, body)) {
      await sendEvents(reply, { ...deps, endpoint, body, signal, submit, waitForEnd });
      return;
    }
    const submitted = await submit();
    const end = await waitForEnd(submitted);
    if (signal.aborted) return;
    const result = { ...deps, ...submitted, workspaceId: owner.workspaceId };
    if (endpoint.replies.includes('bytes')) await sendTaskMedia(request, reply, end, result);
    else await sendTaskOutput(reply, end, result);
  };
}

const wantsEvents = ({ replies }: OpenAiEndpoint, body: Fields) =>
  body['stream'] === true && replies.includes('events');
