/** What an endpoint's owner may do with it: the address judged, the secrets sealed, the row written. */
import {
  newId,
  type CreateEndpointBody,
  type UpdateEndpointBody,
  type WebhookBody,
} from '@millrace/contracts';
import type { EndpointSettings, EndpointStore, NewEndpoint, WebhookEndpointRow } from '#database';
import { Conflict, InvalidInput } from '#domain';
import type { Outbound } from '#outbound';
import { attempt, newSigningSecret, SealBroken, secretHint, type Sealer } from '#webhooks';
import {
  openWebhookEndpoint,
  sealHeaders,
  sealSecret,
  type SealedWebhookEndpoint,
} from './seal-webhook-endpoint.ts';

export interface WebhookTools {
  readonly outbound: Pick<Outbound, 'checkUrl' | 'send'>;
  readonly sealer: Sealer;
}

/** @throws InvalidInput where its URL leads nowhere public; Conflict */
export async function createWebhookEndpoint(
  workspaceId: string,
  body: CreateEndpointBody,
  endpoints: EndpointStore,
  { outbound, sealer }: WebhookTools,
): Promise<{ endpoint: WebhookEndpointRow; secret: string }> {
  await outbound.checkUrl(body.url);
  const [id, secret] = [newId('endpoint'), newSigningSecret()];
  const endpoint = await endpoints.create(workspaceId, {
    id,
    name: body.name,
    url: body.url,
    eventTypes: body.event_types,
    secretSealed: sealSecret(sealer, id, secret),
    secretHint: secretHint(secret),
    metadataFilter: body.metadata_filter ?? null,
    ordered: body.ordered ?? null,
    rateLimit: body.rate_limit ?? null,
    ...sealHeaders(sealer, id, body.headers),
  });
  return { endpoint, secret };
}

/** @throws InvalidInput, NotFound */
export async function updateWebhookEndpoint(
  workspaceId: string,
  id: string,
  body: UpdateEndpointBody,
  endpoints: EndpointStore,
  { outbound, sealer }: WebhookTools,
): Promise<WebhookEndpointRow> {
  if (body.url !== undefined) await outbound.checkUrl(body.url);
  const changes: Partial<EndpointSettings> = {
    ...(body.name !== undefined && { name: body.name }),
    ...(body.url !== undefined && { url: body.url }),
    ...(body.event_types !== undefined && { eventTypes: body.event_types }),
    ...(body.metadata_filter !== undefined && { metadataFilter: body.metadata_filter }),
    ...(body.ordered !== undefined && { ordered: body.ordered }),
    ...(body.rate_limit !== undefined && { rateLimit: body.rate_limit }),
    ...(body.headers !== undefined && sealHeaders(sealer, id, body.headers)),
  };
  return endpoints.update(workspaceId, id, changes, body.disabled);
}

const dayS = 86_400;

/** @throws NotFound */
export async function rotateSecret(
  workspaceId: string,
  id: string,
  keepOld: boolean,
  endpoints: EndpointStore,
  { sealer }: WebhookTools,
): Promise<{ endpoint: WebhookEndpointRow; secret: string }> {
  const secret = newSigningSecret();
  const sealed = { secretSealed: sealSecret(sealer, id, secret), secretHint: secretHint(secret) };
  return { endpoint: await endpoints.rotateSecret(workspaceId, id, sealed, keepOld ? dayS : 0), secret };
}

/** Sends a sample at once, once. @returns the status of the answer. @throws NotFound; InvalidInput where none came. */
export async function testWebhookEndpoint(
  workspaceId: string,
  id: string,
  type: string,
  endpoints: EndpointStore,
  { outbound, sealer }: WebhookTools,
): Promise<number> {
  const row = await endpoints.get(workspaceId, id);
  const isOldGood = row.oldSecretUntil !== null && row.oldSecretUntil > new Date();
  const { secrets, headers } = openOrConflict(sealer, id, {
    ...row,
    oldSecretSealed: isOldGood ? row.oldSecretSealed : null,
  });
  const event = { id: newId('event'), type, createdAt: new Date(), data: buildSampleData(type) };
  const { send } = outbound;
  const sent = await attempt(
    { event, url: row.url, secrets, headers, scheduleStep: 1 },
    { send, now: () => new Date() },
  );
  if (sent.status !== null) return sent.status;
  throw new InvalidInput(`The endpoint did not answer: ${sent.errorMessage}.`, {
    code: sent.errorCode ?? 'webhook_test_failed',
  });
}

/** Data that says it is a sample: the ids are of nothing. */
function buildSampleData(type: string): { id: string; sample: true } {
  const kind = type.startsWith('webhook_endpoint.')
    ? 'endpoint'
    : type.startsWith('task.')
      ? 'task'
      : 'batch';
  return { id: newId(kind), sample: true };
}

/** The webhook that a batch brings with it, ready to be written with it. @throws InvalidInput */
export async function buildSubjectWebhook(
  subject: string,
  { url, events, secret: given }: WebhookBody,
  { outbound, sealer }: WebhookTools,
): Promise<{ endpoint: NewEndpoint; secret: string | undefined }> {
  await outbound.checkUrl(url);
  const [id, secret] = [newId('endpoint'), given ?? newSigningSecret()];
  const endpoint = {
    id,
    subject,
    name: `webhook of ${subject}`,
    url,
    eventTypes: events,
    secretSealed: sealSecret(sealer, id, secret),
    secretHint: secretHint(secret),
  };
  return { endpoint, secret: given === undefined ? secret : undefined };
}

/** The same webhook for another batch: one secret signs for both. @throws Conflict */
export function copySubjectWebhook(subject: string, from: WebhookEndpointRow, sealer: Sealer): NewEndpoint {
  const id = newId('endpoint');
  const [secret] = openOrConflict(sealer, from.id, {
    ...from,
    oldSecretSealed: null,
    headersSealed: null,
  }).secrets;
  return {
    id,
    subject,
    name: `webhook of ${subject}`,
    url: from.url,
    eventTypes: from.eventTypes,
    secretSealed: sealSecret(sealer, id, secret!),
    secretHint: from.secretHint,
  };
}

/** @throws Conflict where it was sealed under another secret than this machine's. */
function openOrConflict(
  sealer: Sealer,
  id: string,
  sealed: SealedWebhookEndpoint,
): ReturnType<typeof openWebhookEndpoint> {
  try {
    return openWebhookEndpoint(sealer, id, sealed);
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error;
    throw new Conflict('The webhook’s secret cannot be read here: MILLRACE_SECRET was changed. Rotate it.', {
      code: 'webhook_secret_unreadable',
      cause: error,
    });
  }
}
