/** Reads the state of batches, chunks and attempts from Postgres while a fault runs. */
import pg from 'pg';

const int8 = 20;
const types = {
  getTypeParser: (oid: number, format?: 'text' | 'binary') =>
    oid === int8 && format !== 'binary' ? Number : pg.types.getTypeParser(oid, format),
};

/** A running chunk, with the process id of its worker. */
export interface RunningChunk {
  readonly batchId: string;
  readonly chunk: number;
  readonly attempt: number;
  readonly workerId: string;
  readonly pid: number;
}

export interface BatchState {
  readonly status: string;
  readonly total: number;
  readonly done: number;
  readonly chunkCount: number;
  readonly chunksDone: number;
}

/** Work for which the queue should have a job: a chunk, or the plan of a batch (`chunk` is -1). */
export interface PendingWork {
  readonly batchId: string;
  readonly chunk: number;
  readonly status: string;
}

export class DatabaseReader {
  private readonly pool: pg.Pool;

  constructor(url: string) {
    this.pool = new pg.Pool({
      connectionString: url,
      max: 3,
      types,
      connectionTimeoutMillis: 5_000,
      application_name: 'millrace-chaos',
    });
    // A fault may stop the server; the next query reports it.
    this.pool.on('error', () => undefined);
  }

  async rows<Row extends object>(sql: string, parameters: unknown[] = []): Promise<Row[]> {
    return (await this.pool.query<Row>(sql, parameters)).rows;
  }

  async one<Row extends object>(sql: string, parameters: unknown[] = []): Promise<Row> {
    const [row] = await this.rows<Row>(sql, parameters);
    if (!row) throw new Error(`no row for: ${sql}`);
    return row;
  }

  /** Running chunks. */
  listRunningChunks(): Promise<RunningChunk[]> {
    return this.rows<RunningChunk>(
      `select c.batch_id as "batchId", c.index as chunk, c.attempt, c.worker_id as "workerId", w.pid
       from chunks c join workers w on w.id = c.worker_id
       where c.status = 'running' order by c.batch_id, c.index`,
    );
  }

  getBatchState(id: string): Promise<BatchState> {
    return this.one<BatchState>(
      `select status, total, completed + failed + canceled + expired as done, chunk_count as "chunkCount",
         chunks_done as "chunksDone"
       from batches where id = $1`,
      [id],
    );
  }

  /** @returns when the first attempt after `attempt` started, in ms since the epoch; null if there is none. */
  async nextAttemptAt({
    batchId,
    chunk,
    attempt,
  }: Omit<RunningChunk, 'workerId' | 'pid'>): Promise<number | null> {
    const [next] = await this.rows<{ at: Date }>(
      `select started_at as at from attempts
       where batch_id = $1 and chunk = $2 and number > $3 order by number limit 1`,
      [batchId, chunk, attempt],
    );
    return next?.at.getTime() ?? null;
  }

  listPendingWork(): Promise<PendingWork[]> {
    return this.rows<PendingWork>(
      `select batch_id as "batchId", index as chunk, status from chunks where status in ('queued', 'running')
       union all select id, -1, status from batches where status = 'validating'`,
    );
  }

  /** Finds when each piece was claimed, completed or requeued after `moment`, in ms since the epoch; null if it was not. */
  async findResumeTimes(
    pieces: readonly PendingWork[],
    moment: number,
  ): Promise<(PendingWork & { at: number | null })[]> {
    const rows = await this.rows<PendingWork & { at: Date | null }>(
      `select p."batchId", p.chunk, p.status, case when p.chunk < 0
         then (select greatest(coalesce(in_progress_at, failed_at), $2) from batches
          where id = p."batchId" and status <> 'validating')
         else least(
           (select min(started_at) from attempts
            where batch_id = p."batchId" and attempts.chunk = p.chunk and started_at > $2),
           (select greatest(finished_at, $2) from chunks
            where batch_id = p."batchId" and index = p.chunk and status = 'done'),
           (select queued_at from chunks where batch_id = p."batchId" and index = p.chunk and queued_at > $2))
         end as at
       from jsonb_to_recordset($1) as p ("batchId" text, chunk int, status text)`,
      [JSON.stringify(pieces), new Date(moment)],
    );
    return rows.map((row) => ({ ...row, at: row.at && row.at.getTime() }));
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}
