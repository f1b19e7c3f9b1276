/** Checks at a process's start that the queue's backend can be used. */
import type { QueueBackend } from './backend.ts';
import { assertRedisUsable } from './redis/assert-usable.ts';

/**
 * Postgres needs no check: a process connects to the same database before.
 * @returns warnings for the operator
 * @throws Unavailable with one line for the operator
 */
export async function assertQueueBackendUsable({
  kind,
  url,
}: {
  kind: QueueBackend['kind'];
  url: string;
}): Promise<string[]> {
  return kind === 'redis' ? assertRedisUsable(url) : [];
}
