/** Abort signals for clients that disconnect: the work for them stops, and no error is logged. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { InvalidInput } from '#domain';

const clientDisconnected = () => new InvalidInput('The client disconnected.', { code: 'request_aborted' });

/** Aborts if the client disconnects before the request is read completely. */
export function createRequestAbortSignal(request: FastifyRequest): AbortSignal {
  const controller = new AbortController();
  request.raw.once('close', () => {
    if (!request.raw.complete) controller.abort(clientDisconnected());
  });
  return controller.signal;
}

/** Aborts if the client disconnects before the response is written completely. */
export function createResponseAbortSignal(reply: FastifyReply): AbortSignal {
  const controller = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) controller.abort(clientDisconnected());
  });
  return controller.signal;
}
