/** The workspaces' feeds: events are published by the relay, and read by feed position. */
import type { EventObject, EventType } from '@millrace/contracts';
import { Gone } from '#domain';
import type { Database } from '../database.ts';
import type { EventRow } from '../entities/index.ts';
import { publishEvents } from '../statements/publish-events.sql.ts';
import type { Lease } from './lease.store.ts';

/** Positions `from` to `to`, both inclusive, of one workspace's feed. */
export interface PublishedRange {
  readonly workspaceId: string;
  readonly from: number;
  readonly to: number;
}

export interface PublishResult {
  readonly ranges: PublishedRange[];
  /** Number of webhook deliveries created for these events. */
  readonly deliveries: number;
}

type PublishedRow = Pick<
  EventRow,
  'id' | 'workspaceId' | 'type' | 'subject' | 'sequence' | 'terminal' | 'data' | 'createdAt'
> & { position: number };

const columns = `id, workspace_id as "workspaceId", subject, sequence, type, terminal, data, created_at as "createdAt",
  feed_position as position`;

export class FeedStore {
  constructor(private readonly database: Database) {}

  /**
   * Publishes up to `limit` events. Only the relay calls it.
   * @returns null if the lease is no longer held: nothing was published. @throws Unavailable
   */
  async publish({ name, holder, epoch }: Lease, limit: number): Promise<PublishResult | null> {
    const [row] = await this.database.rows<PublishResult & { held: boolean }>(publishEvents, [
      name,
      holder,
      epoch,
      limit,
    ]);
    return row?.held ? { ranges: row.ranges, deliveries: row.deliveries } : null;
  }

  /**
   * @param after 0 for the oldest event. @returns the workspace's events after this position, in the feed's order.
   * @throws Gone if events after this position have expired: the client must read the current state.
   */
  async listAfter(workspaceId: string, after: number, limit: number): Promise<EventObject[]> {
    const sql = `select ${columns} from events
      where workspace_id = $1 and feed_position > $2 order by feed_position limit $3`;
    const events = await this.list(workspaceId, sql, [workspaceId, after, limit]);
    // A feed has no gaps: if the next position is there, no event has expired.
    if (events[0]?.position === after + 1) return events;
    await this.assertNotExpired(workspaceId, after);
    return events;
  }

  /** @throws Gone if events after this position have expired. */
  async assertNotExpired(workspaceId: string, after: number): Promise<void> {
    if (after === 0) return;
    const [feed] = await this.database.rows<{ position: number }>(
      'select deleted_up_to_position as position from feeds where workspace_id = $1 and deleted_up_to_position > $2',
      [workspaceId, after],
    );
    if (!feed) return;
    throw new Gone(
      `Events up to position ${feed.position} have expired. Read the current state, then continue from that position.`,
      { code: 'feed_expired' },
    );
  }

  /** @returns one subject's published events after a sequence number. */
  listSubject(
    workspaceId: string,
    subject: string,
    afterSequence: number,
    limit: number,
  ): Promise<EventObject[]> {
    const sql = `select ${columns} from events
      where workspace_id = $1 and subject = $2 and sequence > $3 and feed_position is not null
      order by sequence limit $4`;
    return this.list(workspaceId, sql, [workspaceId, subject, afterSequence, limit]);
  }

  /** @returns the position of the subject's terminal event; null until it is published. */
  async findTerminalPosition(workspaceId: string, subject: string): Promise<number | null> {
    const sql = `select feed_position as position from events where workspace_id = $1 and subject = $2 and terminal`;
    const [event] = await this.database.rows<{ position: number | null }>(sql, [workspaceId, subject]);
    return event?.position ?? null;
  }

  /** @returns the last position of each of these workspaces' feeds; 0 if nothing was published. */
  async getHeads(workspaceIds: readonly string[]): Promise<Map<string, number>> {
    const sql = `select requested.id, coalesce(position, 0) as position
      from unnest($1::text[]) as requested (id) left join feeds on workspace_id = requested.id`;
    const rows = await this.database.rows<{ id: string; position: number }>(sql, [workspaceIds]);
    return new Map(rows.map(({ id, position }) => [id, position]));
  }

  /** @returns how long the oldest unpublished event has waited, in ms; 0 if there is none. */
  async getPublishLagMs(): Promise<number> {
    const sql = `select extract(epoch from clock_timestamp() - created_at) * 1000 as ms
      from events where feed_position is null order by number limit 1`;
    const [oldest] = await this.database.rows<{ ms: string }>(sql);
    return Math.max(0, Number(oldest?.ms ?? 0));
  }

  private async list(workspaceId: string, sql: string, parameters: unknown[]): Promise<EventObject[]> {
    const rows = await this.database.withWorkspace(workspaceId, (transaction) =>
      transaction.rows<PublishedRow>(sql, parameters),
    );
    return rows.map(toEvent);
  }
}

function toEvent(row: PublishedRow): EventObject {
  return {
    id: row.id,
    object: 'event',
    version: 1,
    type: row.type as EventType,
    created_at: Math.floor(row.createdAt.getTime() / 1_000),
    workspace: row.workspaceId,
    subject: row.subject,
    sequence: row.sequence,
    terminal: row.terminal,
    position: row.position,
    data: row.data as EventObject['data'],
  };
}
