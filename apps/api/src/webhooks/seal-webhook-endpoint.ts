/** What of an endpoint is kept sealed, and for what: a seal opens for its own endpoint alone. */
import type { Sealer } from '#webhooks';

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

/** @throws SealBroken */
export function openWebhookEndpoint(
  sealer: Sealer,
  endpointId: string,
  { secretSealed, oldSecretSealed, headersSealed }: SealedWebhookEndpoint,
): { secrets: string[]; headers: Record<string, string> } {
  const sealed = [secretSealed, oldSecretSealed].filter((secret) => secret !== null);
  const secrets = sealed.map((secret) => sealer.open(secret, purposes.secret(endpointId)));
  const headers = headersSealed ? sealer.open(headersSealed, purposes.headers(endpointId)) : '{}';
  return { secrets, headers: JSON.parse(headers) as Record<string, string> };
}
