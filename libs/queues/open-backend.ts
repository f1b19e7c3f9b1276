/** Opens the backend of an address. This is the only place that distinguishes Redis from Postgres. */
import type { Logger } from '#telemetry';
import type { QueueBackend } from './backend.ts';
import { openPostgresBackend, type PostgresAddress } from './postgres/backend.ts';
import { openRedisBackend, type RedisAddress } from './redis/backend.ts';

export type BackendAddress =
  ({ readonly kind: 'redis' } & RedisAddress) | ({ readonly kind: 'postgres' } & PostgresAddress);

export function openBackend(address: BackendAddress, log: Logger): QueueBackend {
  return address.kind === 'redis' ? openRedisBackend(address, log) : openPostgresBackend(address, log);
}
