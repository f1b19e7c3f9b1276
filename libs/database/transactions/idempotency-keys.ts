/** Idempotency keys: requests with the same key on the same route create one resource, even if they are concurrent. */
import { Conflict } from '#domain';
import type { Transaction } from '../transaction.ts';

export interface Idempotency {
  readonly key: string;
  /** The scope of the key: the same key may be used on every route. @default creation of a batch */
  readonly route?: string;
  /** SHA-256 of the request's body. */
  readonly requestHash: Buffer;
}

const defaultRoute = 'POST /v1/batches';

/**
 * Reserves a key for the resource `id`. A concurrent request with the same key waits here for the first one.
 * @returns the id of the resource that the key created before; null if the key is new.
 * @throws Conflict if another request used the key.
 */
export async function reserveIdempotencyKey(
  transaction: Transaction,
  workspaceId: string,
  id: string,
  idempotency: Idempotency,
): Promise<string | null> {
  const { key, requestHash, route = defaultRoute } = idempotency;
  const inserted = await transaction.execute(
    `insert into idempotency_keys (workspace_id, route, key, request_hash, resource_id)
     values ($1, $2, $3, $4, $5) on conflict do nothing`,
    [workspaceId, route, key, requestHash, id],
  );
  if (inserted > 0) return null;
  return findIdempotencyKey(transaction, workspaceId, idempotency);
}

/** @returns the id of the resource that the key created; null if none. @throws Conflict if another request used the key. */
export async function findIdempotencyKey(
  transaction: Transaction,
  workspaceId: string,
  { key, requestHash, route = defaultRoute }: Idempotency,
): Promise<string | null> {
  const [used] = await transaction.rows<{ requestHash: Buffer; resourceId: string }>(
    `select request_hash as "requestHash", resource_id as "resourceId"
     from idempotency_keys where workspace_id = $1 and route = $2 and key = $3`,
    [workspaceId, route, key],
  );
  if (!used) return null;
  if (!used.requestHash.equals(requestHash)) {
    throw new Conflict(
      'This Idempotency-Key was used for another request. Use a new key for a new request.',
      { code: 'idempotency_key_reused' },
    );
  }
  return used.resourceId;
}
