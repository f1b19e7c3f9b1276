/** Signs webhooks as Standard Webhooks 1.0 specifies (https://github.com/standard-webhooks/standard-webhooks). */
import { createHmac, randomBytes } from 'node:crypto';

const secretPrefix = 'whsec_';

/** Returns `whsec_` and 32 random bytes in base64. */
export function createSigningSecret(): string {
  return secretPrefix + randomBytes(32).toString('base64');
}

/** Returns the last four characters: enough to distinguish secrets, too few to guess one. */
export function buildSecretHint(secret: string): string {
  return `${secretPrefix}…${secret.replace(/=+$/, '').slice(-4)}`;
}

export interface SignatureInput {
  /** The event's id. It is the same for every attempt, so that a receiver can detect duplicates. */
  readonly id: string;
  /** Time of the attempt. Receivers reject signatures that are older than five minutes. */
  readonly at: Date;
  readonly body: string;
  /** Newest first. During a rotation the previous secret signs too. */
  readonly secrets: readonly string[];
}

/** @returns `webhook-id`, `webhook-timestamp` and `webhook-signature`. */
export function buildSignatureHeaders({ id, at, body, secrets }: SignatureInput): Record<string, string> {
  const timestamp = String(Math.floor(at.getTime() / 1_000));
  const signatures = secrets.map((secret) => {
    const key = Buffer.from(secret.slice(secretPrefix.length), 'base64');
    return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
  });
  return { 'webhook-id': id, 'webhook-timestamp': timestamp, 'webhook-signature': signatures.join(' ') };
}
