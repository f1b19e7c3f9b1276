/** A request that waits for a task: its connection, and what it is told of the end. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { EndedTask } from '#database';
import { Conflict, ProviderFailure, TimedOut } from '#domain';
import type { ObjectStore } from '#storage';

/** Beyond the wait itself, for the answer. */
const socketTimeoutMarginMs = 30_000;

/** Nothing moves on a connection while its request waits: it is not idle for that. Node sets it back by itself. */
export function extendSocketTimeout({ raw }: FastifyRequest, waitMs: number): void {
  if (waitMs > 0) raw.socket.setTimeout(waitMs + socketTimeoutMarginMs);
}

/**
 * The answer of a task that has succeeded, as the kind's endpoint gives it.
 * @throws what became of one that has not, as the failure that OpenAI's clients expect.
 */
export async function sendTaskAnswer(
  reply: FastifyReply,
  end: EndedTask | null,
  { taskId, objects }: { taskId: string; objects: ObjectStore },
): Promise<void> {
  if (!end) {
    throw new TimedOut(
      `There is no answer yet. The request runs on as ${taskId}: GET /v1/tasks/${taskId} has its answer later.`,
      { code: 'task_still_running' },
    );
  }
  void reply.type('application/json; charset=utf-8');
  if (end.output !== null) return void (await reply.send(end.output));
  if (end.outputKey !== null) return void (await reply.send((await objects.get(end.outputKey)).stream));
  throw toTaskFailure(end);
}

/** @returns what became of one that has not succeeded, as OpenAI's clients expect it. */
export function toTaskFailure({ status, error }: EndedTask): Error {
  if (status !== 'failed') {
    return new Conflict(`This request was ${status} before it had an answer.`, { code: `task_${status}` });
  }
  return new ProviderFailure(error?.message ?? 'The request failed.', {
    code: error?.code ?? 'provider_error',
    ...(error?.param && { param: error.param }),
    status: toClientStatus(error?.status ?? 500),
    retryable: false,
  });
}

/** A model server's refusal of our credentials is no word about the caller's. */
function toClientStatus(status: number): number {
  if ([400, 404, 413, 422, 429].includes(status) || (status >= 500 && status <= 504)) return status;
  return status === 408 ? 504 : 502;
}
