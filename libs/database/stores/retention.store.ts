/** Deletes expired rows: finished webhook deliveries with their attempts, events, and attempts at tasks. */
import type { Database } from '../database.ts';
import { failStrayDeliveries } from '../transactions/webhook-endpoints.ts';

const deleteExpiredDeliveries = `
  with deleted as (
    delete from deliveries where id in (
      select id from deliveries
      where status <> 'pending' and finished_at < clock_timestamp() - make_interval(days => $1)
      order by finished_at limit $2)
    returning 1)
  select count(*) as n from deleted`;

/**
 * An event with a pending delivery is kept. The feed records up to where its events are deleted, so that a client that
 * resumes from an earlier position gets an error. A subject's own webhook endpoint is deleted with its terminal event.
 */
const deleteExpiredEvents = `
  with deleted as (
    delete from events where number in (
      select number from events e
      where created_at < clock_timestamp() - make_interval(days => $1) and feed_position is not null
        and not exists (select from deliveries where event_id = e.id and status = 'pending')
      order by created_at limit $2)
    returning workspace_id, subject, terminal, feed_position, created_at
  ), recorded as (
    update feeds
    set deleted_up_to_position = greatest(deleted_up_to_position, d.position),
      deleted_up_to_time = greatest(deleted_up_to_time, d.time)
    from (select workspace_id as id, max(feed_position) as position, max(created_at) as time from deleted group by 1) d
    where workspace_id = d.id
  ), endpoints as (
    delete from webhook_endpoints where subject in (select subject from deleted where terminal)
  )
  select count(*) as n from deleted`;

/** Attempts at chunks are kept with their batch: results are read in the order of their completion, and there are few. */
const deleteExpiredAttempts = `
  with deleted as (
    delete from attempts where id in (
      select id from attempts
      where task_id is not null and outcome is not null
        and finished_at < clock_timestamp() - make_interval(days => $1)
      order by finished_at limit $2)
    returning 1)
  select count(*) as n from deleted`;

export class RetentionStore {
  constructor(private readonly database: Database) {}

  /** Fails deliveries that wait for a disabled endpoint. @returns how many. */
  failStrayDeliveries(): Promise<number> {
    return this.database.asSystem((transaction) => failStrayDeliveries(transaction, null));
  }

  /** @returns how many were deleted; if it is `limit`, there may be more. */
  deleteExpiredDeliveries(days: number, limit: number): Promise<number> {
    return this.delete(deleteExpiredDeliveries, days, limit);
  }

  /** @returns how many were deleted; if it is `limit`, there may be more. */
  deleteExpiredEvents(days: number, limit: number): Promise<number> {
    return this.delete(deleteExpiredEvents, days, limit);
  }

  /** @returns how many were deleted; if it is `limit`, there may be more. */
  deleteExpiredAttempts(days: number, limit: number): Promise<number> {
    return this.delete(deleteExpiredAttempts, days, limit);
  }

  private async delete(sql: string, days: number, limit: number): Promise<number> {
    const [row] = await this.database.rows<{ n: number }>(sql, [days, limit]);
    return row!.n;
  }
}
