/** What to do with a body that is refused before it was read to its end. */
import type { FastifyReply, FastifyRequest } from 'fastify';

/** nginx's `lingering_time`: how long a refused body is still read. */
const drainTimeoutMs = 30_000;

/**
 * Reads and drops the rest, for a while: a client that is cut off while it sends may never read its answer,
 * and one that sends for ever is cut off all the same.
 */
export function drainRequest({ raw }: FastifyRequest, reply: FastifyReply): void {
  if (raw.complete || raw.destroyed) return;
  // Fastify asks for it after a body it gave up; Node would then reset the connection under the answer.
  void reply.removeHeader('connection');
  // Whatever it was piped to no longer reads, and would only fill up.
  raw.unpipe();
  raw.resume();
  const timer = setTimeout(() => raw.destroy(), drainTimeoutMs);
  timer.unref();
  raw.once('close', () => clearTimeout(timer));
}
