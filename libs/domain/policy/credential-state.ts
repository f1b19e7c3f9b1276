/** Whether a credential may be used, as its provider answered last. */
import type { ProviderFailure } from '../errors.ts';

/** All models that are called with the credential share it. */
export class CredentialState {
  private current: { readonly until: number; readonly failure: ProviderFailure } | null = null;

  /** @param until ms since the epoch. */
  block(failure: ProviderFailure, until: number): void {
    this.current = { failure, until };
  }

  /** Clears the block, so that the next call checks the credential again. */
  unblock(): void {
    this.current = null;
  }

  /** @returns the failure that blocks the credential, or null. */
  getBlock(now: number): ProviderFailure | null {
    return this.current && now < this.current.until ? this.current.failure : null;
  }
}
