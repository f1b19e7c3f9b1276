/** Webhook endpoints that belong to one batch or task: they are written in the transaction that creates it. */
import { createId, type SubjectWebhookBody } from '@millrace/contracts';
import type { NewWebhookEndpoint, WebhookEndpointRow } from '#database';
import { buildSecretHint, createSigningSecret, type Sealer } from '#webhooks';
import { sealSecret, unsealOrConflict } from './seal-webhook-endpoint.ts';
import type { WebhookTools } from './webhook-tools.ts';

/** @returns the secret only if it was created here: it is shown once. @throws InvalidInput */
export async function buildSubjectWebhook(
  subject: string,
  { url, events, secret: requestedSecret }: SubjectWebhookBody,
  { outbound, sealer }: WebhookTools,
): Promise<{ endpoint: NewWebhookEndpoint; secret: string | undefined }> {
  await outbound.checkUrl(url);
  const secret = requestedSecret ?? createSigningSecret();
  const settings = { url, eventTypes: events, secretHint: buildSecretHint(secret) };
  const endpoint = buildEndpoint(subject, secret, settings, sealer);
  return { endpoint, secret: requestedSecret === undefined ? secret : undefined };
}

/** The same webhook for another batch or task; both are signed with the same secret. @throws Conflict */
export function copySubjectWebhook(
  subject: string,
  source: WebhookEndpointRow,
  sealer: Sealer,
): NewWebhookEndpoint {
  const sealed = { ...source, oldSecretSealed: null, headersSealed: null };
  const [secret] = unsealOrConflict(sealer, source.id, sealed).secrets;
  const { url, eventTypes, secretHint } = source;
  return buildEndpoint(subject, secret!, { url, eventTypes, secretHint }, sealer);
}

function buildEndpoint(
  subject: string,
  secret: string,
  settings: Pick<NewWebhookEndpoint, 'url' | 'eventTypes' | 'secretHint'>,
  sealer: Sealer,
): NewWebhookEndpoint {
  const id = createId('webhookEndpoint');
  return {
    id,
    subject,
    name: `webhook of ${subject}`,
    secretSealed: sealSecret(sealer, id, secret),
    ...settings,
  };
}
