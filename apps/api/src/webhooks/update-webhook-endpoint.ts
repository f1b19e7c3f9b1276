/** Changes a webhook endpoint. */
import type { UpdateWebhookEndpointBody } from '@millrace/contracts';
import type { WebhookEndpointRow, WebhookEndpointSettings } from '#database';
import type { WebhookEndpointDeps } from './create-webhook-endpoint.ts';
import { sealHeaders } from './seal-webhook-endpoint.ts';

/** @throws InvalidInput, NotFound */
export type UpdateWebhookEndpoint = (
  workspaceId: string,
  id: string,
  body: UpdateWebhookEndpointBody,
) => Promise<WebhookEndpointRow>;
export const UPDATE_WEBHOOK_ENDPOINT = Symbol('update webhook endpoint');

export function updateWebhookEndpointWith({
  webhookEndpoints,
  tools: { outbound, sealer },
}: WebhookEndpointDeps): UpdateWebhookEndpoint {
  return async (workspaceId, id, body) => {
    if (body.url !== undefined) await outbound.checkUrl(body.url);
    const changes: Partial<WebhookEndpointSettings> = {
      ...(body.name !== undefined && { name: body.name }),
      ...(body.url !== undefined && { url: body.url }),
      ...(body.event_types !== undefined && { eventTypes: body.event_types }),
      ...(body.metadata_filter !== undefined && { metadataFilter: body.metadata_filter }),
      ...(body.ordered !== undefined && { ordered: body.ordered }),
      ...(body.rate_limit !== undefined && { rateLimit: body.rate_limit }),
      ...(body.headers !== undefined && sealHeaders(sealer, id, body.headers)),
    };
    return webhookEndpoints.update(workspaceId, id, changes, body.disabled);
  };
}
