/** Creates a webhook endpoint: checks its address, and stores its new secret and its headers sealed. */
import { createId, type CreateWebhookEndpointBody } from '@millrace/contracts';
import type { WebhookEndpointRow, WebhookEndpointStore } from '#database';
import { buildSecretHint, createSigningSecret } from '#webhooks';
import { sealHeaders, sealSecret } from './seal-webhook-endpoint.ts';
import type { WebhookTools } from './webhook-tools.ts';

/** @returns the secret too; it is shown once. */
export interface EndpointWithSecret {
  readonly webhookEndpoint: WebhookEndpointRow;
  readonly secret: string;
}

/** @throws InvalidInput if the URL is not a public address; Conflict */
export type CreateWebhookEndpoint = (
  workspaceId: string,
  body: CreateWebhookEndpointBody,
) => Promise<EndpointWithSecret>;
export const CREATE_WEBHOOK_ENDPOINT = Symbol('create webhook endpoint');

export interface WebhookEndpointDeps {
  readonly webhookEndpoints: WebhookEndpointStore;
  readonly tools: WebhookTools;
}

export function createWebhookEndpointWith({
  webhookEndpoints,
  tools: { outbound, sealer },
}: WebhookEndpointDeps): CreateWebhookEndpoint {
  return async (workspaceId, body) => {
    await outbound.checkUrl(body.url);
    const [id, secret] = [createId('webhookEndpoint'), createSigningSecret()];
    const webhookEndpoint = await webhookEndpoints.create(workspaceId, {
      id,
      name: body.name,
      url: body.url,
      eventTypes: body.event_types,
      secretSealed: sealSecret(sealer, id, secret),
      secretHint: buildSecretHint(secret),
      metadataFilter: body.metadata_filter ?? null,
      ordered: body.ordered ?? null,
      rateLimit: body.rate_limit ?? null,
      ...sealHeaders(sealer, id, body.headers),
    });
    return { webhookEndpoint, secret };
  };
}
