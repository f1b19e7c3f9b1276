/** Invariant 2: the counters of the batch, its chunks and their attempts match the records. */
import type { Submitted } from '../deployment.ts';
import type { CheckContext } from './check-context.ts';
import { ProblemList } from './problem-list.ts';
import type { Tally } from './records.ts';

interface Sums extends Tally {
  readonly total: number;
}

const parts = ['completed', 'failed', 'canceled', 'expired'] as const;

export class Counters {
  readonly problems = new ProblemList('2 the counters match the records and add up to the total');
  readonly commits = new ProblemList('2 each chunk was committed once, by its last attempt');
  batches = 0;
  chunks = 0;

  constructor(private readonly context: CheckContext) {}

  async compare(batch: Submitted, tally: Tally): Promise<void> {
    const { database, url, apiKey, ends } = this.context;
    const row = await database.one<Sums & { status: string; chunkCount: number; chunksDone: number }>(
      `select status, total, completed, failed, canceled, expired, chunk_count as "chunkCount", chunks_done as "chunksDone"
       from batches where id = $1`,
      [batch.id],
    );
    const end = ends?.[batch.id] ?? 'completed';
    if (row.status !== end) this.problems.add(`${batch.id} is ${row.status}; expected ${end}`);
    const sums = await this.sumChunks(batch.id);
    for (const part of parts) {
      if (row[part] !== tally[part] || sums[part] !== tally[part]) {
        this.problems.add(
          `${part} of ${batch.id}: ${tally[part]} records, ${row[part]} in the batch, ${sums[part]} in its chunks`,
        );
      }
    }
    if (parts.reduce((sum, part) => sum + row[part], 0) !== row.total || sums.total !== row.total) {
      this.problems.add(
        `${batch.id}: its counters or its chunks' lines do not add up to its total, ${row.total}`,
      );
    }
    if (row.chunksDone !== row.chunkCount || sums.chunks !== row.chunkCount) {
      this.problems.add(
        `${batch.id}: ${row.chunksDone} chunks counted as done, ${sums.chunks} rows, ${row.chunkCount} planned`,
      );
    }
    const answer = await fetch(`${url}/v1/batches/${batch.id}`, {
      headers: { authorization: `Bearer ${apiKey}` },
    });
    const { request_counts: counts } = (await answer.json()) as { request_counts?: Record<string, number> };
    if (
      counts?.['total'] !== row.total ||
      counts['completed'] !== row.completed ||
      counts['failed'] !== row.failed
    ) {
      this.problems.add(`the API counts ${JSON.stringify(counts)} for ${batch.id}`);
    }
    await this.checkAttempts(batch.id);
    this.batches++;
    this.chunks += sums.chunks;
  }

  private sumChunks(id: string): Promise<Sums & { chunks: number }> {
    return this.context.database.one(
      `select coalesce(sum(lines), 0)::bigint as total, coalesce(sum(completed), 0)::bigint as completed,
         coalesce(sum(failed), 0)::bigint as failed, coalesce(sum(canceled), 0)::bigint as canceled,
         coalesce(sum(expired), 0)::bigint as expired, count(*) as chunks
       from chunks where batch_id = $1`,
      [id],
    );
  }

  /** Exactly one attempt of a chunk succeeded, it is the newest, and the chunk's objects are its objects. */
  private async checkAttempts(id: string): Promise<void> {
    const wrong = await this.context.database.rows<{ chunk: number; why: string }>(
      `select c.index as chunk, problem as why
       from chunks c
       cross join lateral (
         select count(*) filter (where a.outcome = 'succeeded') as succeeded,
           max(a.number) filter (where a.outcome = 'succeeded') as winner,
           max(a.number) as newest, count(*) filter (where a.outcome is null) as open,
           sum(a.lines) filter (where a.outcome = 'succeeded') as lines
         from attempts a where a.batch_id = c.batch_id and a.chunk = c.index) a
       cross join lateral (values
         (case when c.status <> 'done' then 'is ' || c.status end),
         (case when a.succeeded <> 1 then 'was committed by ' || a.succeeded || ' attempts' end),
         (case when a.winner <> c.attempt or a.newest <> c.attempt then 'was not committed by its newest attempt' end),
         (case when a.open > 0 then 'has an attempt without an outcome' end),
         (case when a.lines <> c.completed + c.failed then 'has ' || a.lines || ' answered lines in its attempt' end),
         (case when c.output_key is not null and c.output_key not like '%/composed-%' and c.output_key not like '%/' || c.index || '-' || c.attempt || '.output.jsonl'
           then 'has the output of an attempt that is not its last: ' || c.output_key end),
         (case when c.error_key is not null and c.error_key not like '%/composed-%' and c.error_key not like '%/' || c.index || '-' || c.attempt || '.error.jsonl'
           then 'has the errors of an attempt that is not its last: ' || c.error_key end)
       ) as p (problem)
       where c.batch_id = $1 and problem is not null
       order by c.index`,
      [id],
    );
    for (const { chunk, why } of wrong) this.commits.add(`chunk ${chunk} of ${id} ${why}`);
  }
}
