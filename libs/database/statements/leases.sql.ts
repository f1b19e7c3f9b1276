import { prepareStatement } from '../prepared-statement.ts';

/**
 * A lease names the process that runs an elected background job. Every statement uses the database's clock. Every new
 * holder raises the epoch, so that statements of a former holder no longer match.
 */

/** `$1` name, `$2` holder, `$3` time to live in ms. Returns the epoch if the lease was free; no row if it is held. */
export const acquireLease = `
  insert into leases as lease (name, holder, epoch, expires_at)
  values ($1, $2, 1, clock_timestamp() + $3 * interval '1 ms')
  on conflict (name) do update
  set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = clock_timestamp() + $3 * interval '1 ms'
  where lease.expires_at <= clock_timestamp()
  returning epoch`;

/** Holds while the lease of `$1` name, `$2` holder and `$3` epoch runs. It fences the statements of its job. */
export const heldLease = `name = $1 and holder = $2 and epoch = $3 and expires_at > clock_timestamp()`;

/** `$4` time to live in ms. Returns one row if the lease was still held. */
export const renewLease = prepareStatement(
  'renew-lease',
  `with renewed as (
    update leases set expires_at = clock_timestamp() + $4 * interval '1 ms' where ${heldLease} returning name
  )
  select name from renewed`,
);

/** Expires the lease. The row stays, because it holds the epoch. */
export const releaseLease = `update leases set expires_at = clock_timestamp() where ${heldLease}`;
