/** Clients that go away in the middle: what is done for them stops, and nobody calls it a fault of ours. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { InvalidInput } from '#domain';

const clientDisconnected = () => new InvalidInput('The client went away.', { code: 'request_aborted' });

/** Fires when the client goes away before its request was read to the end. */
export function createRequestAbortSignal(request: FastifyRequest): AbortSignal {
  const gone = new AbortController();
  request.raw.once('close', () => {
    if (!request.raw.complete) gone.abort(clientDisconnected());
  });
  return gone.signal;
}

/** Fires when the client goes away before the answer was written to the end. */
export function createResponseAbortSignal(reply: FastifyReply): AbortSignal {
  const gone = new AbortController();
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(clientDisconnected());
  });
  return gone.signal;
}
