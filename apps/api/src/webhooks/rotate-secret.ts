/** Replaces a webhook endpoint's signing secret. */
import { buildSecretHint, createSigningSecret } from '#webhooks';
import type { EndpointWithSecret, WebhookEndpointDeps } from './create-webhook-endpoint.ts';
import { sealSecret } from './seal-webhook-endpoint.ts';

/** @param keepOld whether the old secret signs too for another 24 hours. @throws NotFound */
export type RotateSecret = (workspaceId: string, id: string, keepOld: boolean) => Promise<EndpointWithSecret>;
export const ROTATE_SECRET = Symbol('rotate secret');

const dayS = 86_400;

export function rotateSecretWith({ webhookEndpoints, tools: { sealer } }: WebhookEndpointDeps): RotateSecret {
  return async (workspaceId, id, keepOld) => {
    const secret = createSigningSecret();
    const sealed = { secretSealed: sealSecret(sealer, id, secret), secretHint: buildSecretHint(secret) };
    const webhookEndpoint = await webhookEndpoints.rotateSecret(workspaceId, id, sealed, keepOld ? dayS : 0);
    return { webhookEndpoint, secret };
  };
}
