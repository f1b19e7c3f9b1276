/** Opens a process's bus on Redis or Postgres. This is the only place that distinguishes the two. */
import type { Logger } from '#telemetry';
import type { Bus } from './bus.ts';
import { MessageBus } from './message-bus.ts';
import { PostgresTransport } from './postgres/postgres-transport.ts';
import { RedisTransport } from './redis/redis-transport.ts';

export interface BusBackend {
  readonly kind: 'redis' | 'postgres';
  readonly url: string;
}

export interface BusOptions {
  readonly log: Logger;
  /** The connection's name in the server's lists. */
  readonly name?: string;
  /** How often each connection is checked. @default 10_000 */
  readonly heartbeatMs?: number;
}

/** Opens the process's bus: two connections on Redis, one on Postgres. @throws Unavailable */
export async function connectBus(
  backend: BusBackend,
  { log, name = 'millrace-bus', heartbeatMs = 10_000 }: BusOptions,
): Promise<Bus> {
  const options = { url: backend.url, name, heartbeatMs, log };
  const bus = new MessageBus(
    backend.kind === 'redis' ? new RedisTransport(options) : new PostgresTransport(options),
    log,
  );
  await bus.start();
  return bus;
}
