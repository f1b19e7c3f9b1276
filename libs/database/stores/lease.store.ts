/** Leases of background jobs that run in one process at a time. */
import type { Database } from '../database.ts';
import { acquireLease, releaseLease, renewLease } from '../statements/leases.sql.ts';

export interface Lease {
  readonly name: string;
  readonly holder: string;
  /** Raised each time the lease is acquired, even by the same holder. */
  readonly epoch: number;
}

export class LeaseStore {
  constructor(private readonly database: Database) {}

  /** @returns null while the lease is held. @throws Unavailable */
  async acquire(name: string, holder: string, ttlMs: number): Promise<Lease | null> {
    const [row] = await this.database.rows<{ epoch: number }>(acquireLease, [name, holder, ttlMs]);
    return row ? { name, holder, epoch: row.epoch } : null;
  }

  /** @returns whether the lease was still held; it is then held for `ttlMs` more. @throws Unavailable */
  async renew({ name, holder, epoch }: Lease, ttlMs: number): Promise<boolean> {
    const rows = await this.database.prepared(renewLease, [name, holder, epoch, ttlMs]);
    return rows.length > 0;
  }

  /** Releases the lease, so that another process can acquire it at once. No effect if it is no longer held. @throws Unavailable */
  async release({ name, holder, epoch }: Lease): Promise<void> {
    await this.database.rows(releaseLease, [name, holder, epoch]);
  }
}
