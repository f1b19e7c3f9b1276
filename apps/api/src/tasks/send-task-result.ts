/** Answers an HTTP request with the result of the task that it waited for. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EndedTask, StoredMedia, TaskStore } from '#database';
import { Conflict, NotFound, ProviderFailure, TimedOut } from '#domain';
import type { ObjectStorage } from '#storage';
import { sendContent } from '../http/send-content.ts';

/** Time for the answer itself, after the wait. */
const socketTimeoutMarginMs = 30_000;

/** Keeps the server from closing the connection as idle during the wait. Node resets the timeout after the request. */
export function extendSocketTimeout({ raw }: FastifyRequest, waitMs: number): void {
  if (waitMs > 0) raw.socket.setTimeout(waitMs + socketTimeoutMarginMs);
}

interface TaskResult {
  readonly taskId: string;
  readonly objects: ObjectStorage;
}

/**
 * Sends the output of a task that succeeded.
 * @param end null: the task has not ended yet.
 * @throws the failure that OpenAI's clients expect for any other task.
 */
export async function sendTaskOutput(
  reply: FastifyReply,
  end: EndedTask | null,
  { taskId, objects }: TaskResult,
): Promise<void> {
  const { output, outputKey } = assertSucceeded(end, taskId);
  void reply.type('application/json; charset=utf-8');
  await reply.send(output ?? (await objects.get(outputKey!)).stream);
}

/** Sends the first media of the output as the response body. @throws like `sendTaskOutput`; NotFound if it has none. */
export async function sendTaskMedia(
  request: FastifyRequest,
  reply: FastifyReply,
  end: EndedTask | null,
  task: { readonly tasks: Pick<TaskStore, 'get'>; readonly workspaceId: string } & TaskResult,
): Promise<void> {
  assertSucceeded(end, task.taskId);
  const { media } = await task.tasks.get(task.workspaceId, task.taskId);
  const [stored] = media ?? [];
  if (!stored) throw new NotFound('The output has no media.', { code: 'output_not_found' });
  await sendMedia(request, reply, stored, task.objects);
}

/** Whole, or the range that the request asks for: players of video seek by ranges. */
export async function sendMedia(
  request: FastifyRequest,
  reply: FastifyReply,
  { key, type, bytes }: StoredMedia,
  objects: ObjectStorage,
): Promise<void> {
  await sendContent(request, reply, {
    bytes,
    contentType: type,
    filename: null,
    open: async (range, signal) => (await objects.get(key, { ...range, signal })).stream,
  });
}

/** @returns the output, parsed. @throws like `sendTaskOutput` */
export async function readTaskOutput(
  end: EndedTask | null,
  { taskId, objects }: TaskResult,
): Promise<unknown> {
  const { output, outputKey } = assertSucceeded(end, taskId);
  return JSON.parse(output ?? (await objects.read(outputKey!)).toString()) as unknown;
}

function assertSucceeded(end: EndedTask | null, taskId: string): EndedTask {
  if (!end) {
    throw new TimedOut(
      `The request has no result yet. It continues as ${taskId}: read GET /v1/tasks/${taskId} later.`,
      { code: 'task_still_running' },
    );
  }
  if (end.output === null && end.outputKey === null) throw toTaskFailure(end);
  return end;
}

/** @returns the failure of a task that did not succeed, as OpenAI's clients expect it. */
function toTaskFailure({ status, error }: EndedTask): Error {
  if (status !== 'failed') {
    const code = status === 'expired' ? 'task_expired' : 'task_canceled';
    return new Conflict(`This request was ${status} before it had a result.`, { code });
  }
  return new ProviderFailure(error?.message ?? 'The request failed.', {
    code: error?.code ?? 'provider_error',
    ...(error?.param && { param: error.param }),
    status: toClientStatus(error?.status ?? 500),
    retryable: false,
    retryAfterMs: error?.retry_after === undefined ? null : error.retry_after * 1_000,
  });
}

/** A model server that refuses our credentials (401, 403) says nothing about the caller's: the caller gets a 502. */
function toClientStatus(status: number): number {
  if ([400, 404, 413, 422, 429].includes(status) || (status >= 500 && status <= 504)) return status;
  return status === 408 ? 504 : 502;
}
