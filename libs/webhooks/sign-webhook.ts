/** Signatures by Standard Webhooks 1.0 (https://github.com/standard-webhooks/standard-webhooks, spec). */
import { createHmac, randomBytes } from 'node:crypto';

const secretPrefix = 'whsec_';

/** @returns `whsec_` and 32 random bytes in base64. */
export function createSigningSecret(): string {
  return secretPrefix + randomBytes(32).toString('base64');
}

/** Enough to tell secrets apart, too little to find one. */
export function buildSecretHint(secret: string): string {
  return `${secretPrefix}…${secret.replace(/=+$/, '').slice(-4)}`;
}

export interface SignatureInput {
  /** The event's id: the same on every try, which is what a receiver knows a repetition by. */
  readonly id: string;
  /** Of this try: receivers refuse what is older than five minutes. */
  readonly at: Date;
  readonly body: string;
  /** The newest first; during a rotation the one before it too. */
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
