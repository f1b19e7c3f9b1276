/** Every response carries its request's id, and is counted and logged under it. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { httpRequestSeconds, type Logger } from '#telemetry';

export function observeRequests(fastify: FastifyInstance, log: Logger): void {
  fastify.addHook('onRequest', async (request, reply) => {
    void reply.header('x-request-id', request.id);
  });
  fastify.addHook('onResponse', async (request, reply) => observeResponse(request, reply, log));
}

function observeResponse(request: FastifyRequest, reply: FastifyReply, log: Logger): void {
  const route = request.routeOptions.url ?? 'unknown';
  const labels = { method: request.method, route, status: String(reply.statusCode) };
  httpRequestSeconds.observe(labels, reply.elapsedTime / 1_000);
  const isProbe = /^\/(health|metrics)/.test(route);
  // An id of ours may be logged. Anything else in a URL or a body comes from the client and may not.
  const { id } = request.params as { id?: string };
  const subject = id && /^(file|batch|task)_[0-9a-f]{32}$/.test(id) ? { subject: id } : {};
  const taskId = reply.getHeader('x-millrace-task-id');
  log[isProbe ? 'debug' : 'info'](
    {
      requestId: request.id,
      ...labels,
      ...subject,
      ...(taskId && { taskId }),
      ms: Math.round(reply.elapsedTime),
    },
    'request completed',
  );
}
