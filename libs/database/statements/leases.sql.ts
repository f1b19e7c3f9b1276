import { prepareStatement } from '../prepared-statement.ts';

/**
 * A lease says which process holds a duty. Every statement judges by the database's clock, and every change of
 * tenure raises the epoch, so that what a former holder still sends is told from what the present one sends.
 */

/** `$1` name, `$2` holder, `$3` time to live in ms. One row with the epoch when it was free; none when it is taken. */
export const acquireLease = `
  insert into leases as lease (name, holder, epoch, expires_at)
  values ($1, $2, 1, clock_timestamp() + $3 * interval '1 ms')
  on conflict (name) do update
  set holder = excluded.holder, epoch = lease.epoch + 1, expires_at = clock_timestamp() + $3 * interval '1 ms'
  where lease.expires_at <= clock_timestamp()
  returning epoch`;

/** The lease of `$1` name, `$2` holder and `$3` epoch while it runs: what a statement of its duty is fenced by. */
export const heldLease = `name = $1 and holder = $2 and epoch = $3 and expires_at > clock_timestamp()`;

/** `$4` time to live in ms. One row when it was still held. */
export const renewLease = prepareStatement(
  'renew-lease',
  `with renewed as (
    update leases set expires_at = clock_timestamp() + $4 * interval '1 ms' where ${heldLease} returning name
  )
  select name from renewed`,
);

/** The row stays, for its epoch. */
export const releaseLease = `update leases set expires_at = clock_timestamp() where ${heldLease}`;
