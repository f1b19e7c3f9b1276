import { NotFound } from '#domain';
import { WebhookEndpointRow } from '../entities/index.ts';
import type { Transaction } from '../transaction.ts';

/** What an owner may set. Rotating the secret and disabling have methods of their own. */
export type WebhookEndpointSettings = Pick<
  WebhookEndpointRow,
  'name' | 'url' | 'eventTypes' | 'headerNames' | 'headersSealed' | 'metadataFilter' | 'ordered' | 'rateLimit'
>;

export type NewWebhookEndpoint = Pick<
  WebhookEndpointRow,
  'id' | 'name' | 'url' | 'eventTypes' | 'secretSealed' | 'secretHint'
> &
  Partial<WebhookEndpointSettings> & {
    /** The batch or task whose events it gets, instead of all events of the workspace. */
    readonly subject?: string;
  };

export async function insertWebhookEndpoint(
  transaction: Transaction,
  workspaceId: string,
  webhookEndpoint: NewWebhookEndpoint,
): Promise<void> {
  await transaction.repository(WebhookEndpointRow).insert({ ...webhookEndpoint, workspaceId });
}

/** @throws NotFound */
export async function loadWebhookEndpoint(
  transaction: Transaction,
  workspaceId: string,
  id: string,
): Promise<WebhookEndpointRow> {
  const found = await transaction.repository(WebhookEndpointRow).findOneBy({ id, workspaceId });
  if (!found) throw webhookEndpointNotFound();
  return found;
}

export const webhookEndpointNotFound = (): NotFound =>
  new NotFound('No such webhook endpoint.', { code: 'webhook_endpoint_not_found' });

/** Fails the pending deliveries of a disabled endpoint. They can be redelivered later. @param now a test's clock. */
export async function failPendingDeliveries(
  transaction: Transaction,
  endpointId: string,
  now: Date | null = null,
): Promise<void> {
  await transaction.execute(
    `update deliveries
     set status = 'failed', error_code = 'endpoint_disabled', next_attempt_at = null, leased_by = null,
       leased_until = null, finished_at = coalesce($2::timestamptz, clock_timestamp())
     where endpoint_id = $1 and status = 'pending'`,
    [endpointId, now],
  );
}

/**
 * Fails pending deliveries that the relay created while their endpoint was being disabled: neither transaction saw the
 * other's change. @param endpointId null for all endpoints. @returns the number of deliveries.
 */
export function failStrayDeliveries(transaction: Transaction, endpointId: string | null): Promise<number> {
  return transaction.execute(
    `update deliveries d
     set status = 'failed', error_code = 'endpoint_disabled', next_attempt_at = null, leased_by = null,
       leased_until = null, finished_at = clock_timestamp()
     from webhook_endpoints e
     where e.id = d.endpoint_id and d.status = 'pending' and e.disabled_at is not null and ($1::text is null or e.id = $1)`,
    [endpointId],
  );
}
