/** Reads the rest of a request that is refused before its body is read completely. */
import type { FastifyReply, FastifyRequest } from 'fastify';

/** How long the rest of a body is read; the default of nginx's `lingering_time`. */
const drainTimeoutMs = 30_000;

/**
 * Discards the rest of the body. A client whose connection is closed while it sends may never read the response. A client
 * that does not stop sending is disconnected after the timeout.
 */
export function drainRequest({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.complete || raw.destroyed) return;
  // Fastify sets `connection: close` after a body that it did not read. Node then resets the connection before the client
  // has read the response.
  void reply.removeHeader('connection');
  // The destination does not read any more: its buffer would fill up and stop the request.
  raw.unpipe();
  raw.resume();
  const timer = setTimeout(() => raw.destroy(), drainTimeoutMs);
  timer.unref();
  raw.once('close', () => clearTimeout(timer));
}
