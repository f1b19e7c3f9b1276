/** The secret that a call to a provider is made with. A handler gets it with each call and never stores it. */
import { createHash } from 'node:crypto';

export interface ProviderCredential {
  /** Unique in the deployment. */
  readonly id: string;
  /** Id of the provider that it belongs to. */
  readonly provider: string;
  /**
   * Identifies the secret without revealing it. Calls with the same fingerprint share one concurrency limit and one
   * circuit breaker, and usage is reported by it. null: the provider itself is the unit for all three.
   */
  readonly fingerprint: string | null;
  /** Read before each call, so that a rotated secret is used at once. @returns undefined if the server needs none. */
  getToken(): Promise<string | undefined>;
}

/** Secrets are random, so the first 48 bits of a hash reveal nothing about them. */
export const fingerprintSecret = (secret: string): string =>
  createHash('sha256').update(secret).digest('hex').slice(0, 12);

/** The credential of the instance, from its environment. Workspaces without a credential of their own use it. */
export function createDefaultCredential(provider: string, token?: string): ProviderCredential {
  return {
    id: `default:${provider}`,
    provider,
    fingerprint: token ? fingerprintSecret(token) : null,
    getToken: async () => token,
  };
}
