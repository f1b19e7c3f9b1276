/** Facts: appended in the transaction that makes them true, stamped by the relay, read by feed position. */
import { newId, type Fact, type FactType } from '@millrace/contracts';
import { Gone } from '#domain';
import type { Database, Transaction } from '../database.ts';
import type { EventRow } from '../entities/index.ts';
import type { Lease } from './lease.store.ts';
import { publishEvents } from '../statements/publish-events.sql.ts';

export interface NewEvent {
  readonly workspaceId: string;
  readonly subject: string;
  /** Taken from the subject's row, under its lock. */
  readonly sequence: number;
  readonly type: FactType;
  readonly terminal: boolean;
  readonly data: { readonly id: string } & Record<string, unknown>;
}

export async function appendEvent(tx: Transaction, fact: NewEvent): Promise<void> {
  await tx.query(
    `insert into events (id, workspace_id, subject, sequence, type, terminal, data) values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      newId('event'),
      fact.workspaceId,
      fact.subject,
      fact.sequence,
      fact.type,
      fact.terminal,
      JSON.stringify(fact.data),
    ],
  );
}

/** Positions `from` to `to`, both included, of one workspace's feed. */
export interface PublishedRange {
  readonly workspaceId: string;
  readonly from: number;
  readonly to: number;
}

export interface PublishResult {
  readonly ranges: PublishedRange[];
  /** Webhook deliveries that were made for these facts. */
  readonly deliveries: number;
}

type StampedRow = Pick<EventRow, 'id' | 'type' | 'subject' | 'sequence' | 'terminal' | 'data'> & {
  workspaceId: string;
  createdAt: Date;
  position: number;
};

const factColumns = `id, workspace_id as "workspaceId", subject, sequence, type, terminal, data, created_at as "createdAt",
  feed_position as position`;

export class FeedStore {
  constructor(private readonly database: Database) {}

  /**
   * Stamps up to `limit` facts. For the relay alone.
   * @returns null when the lease is no longer held: nothing was stamped. @throws Unavailable
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
   * @param after 0: from the oldest that is kept. @returns the workspace's facts after it, in the feed's order.
   * @throws Gone where facts after that position are no longer kept: the reader has to look at the state anew.
   */
  async listAfter(workspaceId: string, after: number, limit: number): Promise<Fact[]> {
    const sql = `select ${factColumns} from events
      where workspace_id = $1 and feed_position > $2 order by feed_position limit $3`;
    const facts = await this.facts(workspaceId, sql, [workspaceId, after, limit]);
    // A feed has no holes: what follows at once shows that nothing is missing.
    if (facts[0]?.position === after + 1) return facts;
    await this.assertNotExpired(workspaceId, after);
    return facts;
  }

  /** @throws Gone where facts after that position are no longer kept. */
  async assertNotExpired(workspaceId: string, after: number): Promise<void> {
    if (after === 0) return;
    const [feed] = await this.database.rows<{ forgotten: number }>(
      'select forgotten from feeds where workspace_id = $1 and forgotten > $2',
      [workspaceId, after],
    );
    if (!feed) return;
    throw new Gone(
      `Events up to position ${feed.forgotten} are no longer kept. Read the state anew and go on from there.`,
      { code: 'feed_expired' },
    );
  }

  /** @returns one subject's facts after a sequence number, as far as they are stamped. */
  listSubject(workspaceId: string, subject: string, afterSequence: number, limit: number): Promise<Fact[]> {
    const sql = `select ${factColumns} from events
      where workspace_id = $1 and subject = $2 and sequence > $3 and feed_position is not null
      order by sequence limit $4`;
    return this.facts(workspaceId, sql, [workspaceId, subject, afterSequence, limit]);
  }

  /** @returns the position of the subject's last fact; null until its end is stamped. */
  async findTerminalPosition(workspaceId: string, subject: string): Promise<number | null> {
    const sql = `select feed_position as position from events where workspace_id = $1 and subject = $2 and terminal`;
    const [end] = await this.database.rows<{ position: number | null }>(sql, [workspaceId, subject]);
    return end?.position ?? null;
  }

  /** @returns the newest position of each of these workspaces' feeds; 0 where nothing was ever stamped. */
  async getHeads(workspaceIds: readonly string[]): Promise<Map<string, number>> {
    const sql = `select wanted.id, coalesce(position, 0) as position
      from unnest($1::text[]) as wanted (id) left join feeds on workspace_id = wanted.id`;
    const rows = await this.database.rows<{ id: string; position: number }>(sql, [workspaceIds]);
    return new Map(rows.map(({ id, position }) => [id, position]));
  }

  /** @returns for how long the oldest fact has waited to be stamped, in ms; 0 when none waits. */
  async getPublishLagMs(): Promise<number> {
    const sql = `select extract(epoch from clock_timestamp() - created_at) * 1000 as ms
      from events where feed_position is null order by number limit 1`;
    const [oldest] = await this.database.rows<{ ms: string }>(sql);
    return Math.max(0, Number(oldest?.ms ?? 0));
  }

  private async facts(workspaceId: string, sql: string, parameters: unknown[]): Promise<Fact[]> {
    const rows: StampedRow[] = await this.database.withWorkspace(workspaceId, (tx) =>
      tx.query(sql, parameters),
    );
    return rows.map(toFact);
  }
}

function toFact(row: StampedRow): Fact {
  return {
    id: row.id,
    object: 'event',
    version: 1,
    type: row.type as FactType,
    created_at: Math.floor(row.createdAt.getTime() / 1_000),
    workspace: row.workspaceId,
    subject: row.subject,
    sequence: row.sequence,
    terminal: row.terminal,
    position: row.position,
    data: row.data as Fact['data'],
  };
}
