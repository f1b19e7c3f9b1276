/** What is no longer kept: finished deliveries with their tries, events, and tries at tasks, each after its own time. */
import type { Database } from '../database.ts';
import { failStrayDeliveries } from './webhook-endpoint.store.ts';

const forgetDeliveries = `
  with gone as (
    delete from deliveries where id in (
      select id from deliveries
      where status <> 'pending' and finished_at < clock_timestamp() - make_interval(days => $1)
      order by finished_at limit $2)
    returning 1)
  select count(*) as n from gone`;

/**
 * An event that still has to arrive somewhere is kept. The feed notes how far it has been forgotten, so that a reader
 * who comes from before that is told. With a subject's end goes the webhook that was its alone.
 */
const forgetEvents = `
  with gone as (
    delete from events where number in (
      select number from events f
      where created_at < clock_timestamp() - make_interval(days => $1) and feed_position is not null
        and not exists (select from deliveries where event_id = f.id and status = 'pending')
      order by created_at limit $2)
    returning workspace_id, subject, terminal, feed_position, created_at
  ), noted as (
    update feeds
    set forgotten = greatest(forgotten, position_gone), forgotten_until = greatest(forgotten_until, time_gone)
    from (select workspace_id as id, max(feed_position) as position_gone, max(created_at) as time_gone from gone group by 1) g
    where workspace_id = g.id
  ), unbound as (
    delete from webhook_endpoints where subject in (select subject from gone where terminal)
  )
  select count(*) as n from gone`;

/** Those at chunks stay with their batch: results are read in the order of their ends, and there are few. */
const forgetAttempts = `
  with gone as (
    delete from attempts where id in (
      select id from attempts
      where task_id is not null and outcome is not null
        and finished_at < clock_timestamp() - make_interval(days => $1)
      order by finished_at limit $2)
    returning 1)
  select count(*) as n from gone`;

export class RetentionStore {
  constructor(private readonly database: Database) {}

  /** Deliveries that wait for an endpoint that is disabled. @returns how many were ended. */
  failStrayDeliveries(): Promise<number> {
    return this.database.asSystem((tx) => failStrayDeliveries(tx, null));
  }

  /** @returns how many were deleted, `limit` at most: then there may be more. */
  deleteExpiredDeliveries(days: number, limit: number): Promise<number> {
    return this.delete(forgetDeliveries, days, limit);
  }

  /** @returns how many were deleted, `limit` at most: then there may be more. */
  deleteExpiredEvents(days: number, limit: number): Promise<number> {
    return this.delete(forgetEvents, days, limit);
  }

  /** @returns how many were deleted, `limit` at most: then there may be more. */
  deleteExpiredAttempts(days: number, limit: number): Promise<number> {
    return this.delete(forgetAttempts, days, limit);
  }

  private async delete(sql: string, days: number, limit: number): Promise<number> {
    const [row] = await this.database.rows<{ n: number }>(sql, [days, limit]);
    return row!.n;
  }
}
