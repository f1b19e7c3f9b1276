/** Sends a sample event to a webhook endpoint, once and at once. */
import { createId, type ErrorCode } from '@millrace/contracts';
import { InvalidInput } from '#domain';
import { sendAttempt } from '#webhooks';
import type { WebhookEndpointDeps } from './create-webhook-endpoint.ts';
import { unsealOrConflict } from './seal-webhook-endpoint.ts';

/** @returns the response's status. @throws NotFound, Conflict; InvalidInput if there was no response. */
export type TestWebhookEndpoint = (workspaceId: string, id: string, eventType: string) => Promise<number>;
export const TEST_WEBHOOK_ENDPOINT = Symbol('test webhook endpoint');

export function testWebhookEndpointWith({
  webhookEndpoints,
  tools: { outbound, sealer },
}: WebhookEndpointDeps): TestWebhookEndpoint {
  return async (workspaceId, id, type) => {
    const row = await webhookEndpoints.get(workspaceId, id);
    const isOldSecretValid = row.oldSecretUntil !== null && row.oldSecretUntil > new Date();
    const { secrets, headers } = unsealOrConflict(sealer, id, {
      ...row,
      oldSecretSealed: isOldSecretValid ? row.oldSecretSealed : null,
    });
    const event = { id: createId('event'), type, createdAt: new Date(), data: buildSampleData(type) };
    const { send } = outbound;
    const sent = await sendAttempt(
      { event, url: row.url, secrets, headers, scheduleStep: 1 },
      { send, now: () => new Date() },
    );
    if (sent.status !== null) return sent.status;
    throw new InvalidInput(`The webhook endpoint did not respond: ${sent.errorMessage}.`, {
      code: (sent.errorCode ?? 'webhook_test_failed') as ErrorCode,
    });
  };
}

/** The id is of no existing object; `sample` tells the receiver so. */
function buildSampleData(type: string): { id: string; sample: true } {
  const idType = type.startsWith('webhook_endpoint.')
    ? 'webhookEndpoint'
    : /^(task|video)\./.test(type)
      ? 'task'
      : 'batch';
  return { id: createId(idType), sample: true };
}
