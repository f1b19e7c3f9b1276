/** Who holds a duty that one process at a time may do. */
import type { Database } from '../database.ts';
import { acquireLease, releaseLease, renewLease } from '../statements/leases.sql.ts';

/** One tenure: a later one of the same name has a higher epoch, be it the same holder's. */
export interface Lease {
  readonly name: string;
  readonly holder: string;
  readonly epoch: number;
}

export class LeaseStore {
  constructor(private readonly database: Database) {}

  /** @returns null while another tenure runs. @throws Unavailable */
  async acquire(name: string, holder: string, ttlMs: number): Promise<Lease | null> {
    const [row] = await this.database.rows<{ epoch: number }>(acquireLease, [name, holder, ttlMs]);
    return row ? { name, holder, epoch: row.epoch } : null;
  }

  /** @returns whether the lease was still held, and now is for `ttlMs` more. @throws Unavailable */
  async renew({ name, holder, epoch }: Lease, ttlMs: number): Promise<boolean> {
    const rows = await this.database.prepared(renewLease, [name, holder, epoch, ttlMs]);
    return rows.length > 0;
  }

  /** Lets the next holder in at once; nothing happens when the lease is no longer held. @throws Unavailable */
  async release({ name, holder, epoch }: Lease): Promise<void> {
    await this.database.rows(releaseLease, [name, holder, epoch]);
  }
}
