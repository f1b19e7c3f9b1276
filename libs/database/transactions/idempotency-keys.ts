/** Idempotency keys: the same key on the same route makes one thing, however often and how concurrently it is sent. */
import { Conflict } from '#domain';
import type { Transaction } from '../database.ts';

export interface Idempotency {
  readonly key: string;
  /** What the key is for: the same one may be used on each. @default creation of a batch */
  readonly route?: string;
  /** SHA-256 of the request's body. */
  readonly requestHash: Buffer;
}

const creation = 'POST /v1/batches';

/** @returns the id that this key made before, or null when it is new. A twin request waits here for the first. */
export async function reserveIdempotencyKey(
  tx: Transaction,
  workspaceId: string,
  id: string,
  idempotency: Idempotency,
) {
  const { key, requestHash, route = creation } = idempotency;
  const fresh = await tx.query<unknown[]>(
    `insert into idempotency_keys (workspace_id, route, key, request_hash, resource_id)
     values ($1, $2, $3, $4, $5) on conflict do nothing returning 1`,
    [workspaceId, route, key, requestHash, id],
  );
  if (fresh.length > 0) return null;
  return findIdempotencyKey(tx, workspaceId, idempotency);
}

/** @returns the id that this key made; null where it made none. @throws Conflict when it was another request's. */
export async function findIdempotencyKey(
  tx: Transaction,
  workspaceId: string,
  { key, requestHash, route = creation }: Idempotency,
): Promise<string | null> {
  const [used] = await tx.query<{ requestHash: Buffer; resourceId: string }[]>(
    `select request_hash as "requestHash", resource_id as "resourceId"
     from idempotency_keys where workspace_id = $1 and route = $2 and key = $3`,
    [workspaceId, route, key],
  );
  if (!used) return null;
  if (!used.requestHash.equals(requestHash)) {
    throw new Conflict(
      'This Idempotency-Key was used for another request. Use a new key for a new request.',
      {
        code: 'idempotency_key_reused',
      },
    );
  }
  return used.resourceId;
}
