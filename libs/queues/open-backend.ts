/** Opens the backend that an address names: the one place where the two are told apart. */
import type { Logger } from '#telemetry';
import type { Backend } from './backend.ts';
import { openPostgres, type PostgresAddress } from './postgres/backend.ts';
import { openRedis, type RedisAddress } from './redis/backend.ts';

export type BackendAddress =
  ({ readonly kind: 'redis' } & RedisAddress) | ({ readonly kind: 'postgres' } & PostgresAddress);

export function openBackend(address: BackendAddress, log: Logger): Backend {
  return address.kind === 'redis' ? openRedis(address, log) : openPostgres(address, log);
}
