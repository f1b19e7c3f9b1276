/** Seals a webhook endpoint's secret and headers for the database. They can only be unsealed for the same endpoint. */
import { Conflict } from '#domain';
import { UnsealFailed, type Sealer } from '#webhooks';

const purposes = {
  secret: (id: string) => `signing secret of ${id}`,
  headers: (id: string) => `custom headers of ${id}`,
};

export function sealSecret(sealer: Sealer, endpointId: string, secret: string): Buffer {
  return sealer.seal(secret, purposes.secret(endpointId));
}

export function sealHeaders(
  sealer: Sealer,
  endpointId: string,
  headers: Readonly<Record<string, string>> | null | undefined,
): { headerNames: string[]; headersSealed: Buffer | null } {
  const headerNames = Object.keys(headers ?? {});
  const headersSealed =
    headerNames.length > 0 ? sealer.seal(JSON.stringify(headers), purposes.headers(endpointId)) : null;
  return { headerNames, headersSealed };
}

export interface SealedWebhookEndpoint {
  readonly secretSealed: Buffer;
  readonly oldSecretSealed: Buffer | null;
  readonly headersSealed: Buffer | null;
}

export interface UnsealedWebhookEndpoint {
  /** The current secret first. */
  readonly secrets: string[];
  readonly headers: Record<string, string>;
}

/** @throws UnsealFailed */
export function unsealWebhookEndpoint(
  sealer: Sealer,
  endpointId: string,
  { secretSealed, oldSecretSealed, headersSealed }: SealedWebhookEndpoint,
): UnsealedWebhookEndpoint {
  const sealed = [secretSealed, oldSecretSealed].filter((secret) => secret !== null);
  const secrets = sealed.map((secret) => sealer.open(secret, purposes.secret(endpointId)));
  const headers = headersSealed ? sealer.open(headersSealed, purposes.headers(endpointId)) : '{}';
  return { secrets, headers: JSON.parse(headers) as Record<string, string> };
}

/** @throws Conflict if it was sealed under another MILLRACE_SECRET. */
export function unsealOrConflict(
  sealer: Sealer,
  endpointId: string,
  sealed: SealedWebhookEndpoint,
): UnsealedWebhookEndpoint {
  try {
    return unsealWebhookEndpoint(sealer, endpointId, sealed);
  } catch (error) {
    if (!(error instanceof UnsealFailed)) throw error;
    throw new Conflict('The webhook’s secret cannot be read: MILLRACE_SECRET was changed. Rotate it.', {
      code: 'webhook_secret_unreadable',
      cause: error,
    });
  }
}
