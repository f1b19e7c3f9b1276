/** Throughput figures that most fault runs report. */
import type { Deployment } from './deployment.ts';

/** Throughput from the end of the first batch's plan to the end of the last batch, the fault included. */
export async function measureThroughput({
  database,
}: Pick<Deployment, 'database'>): Promise<Record<string, number | null>> {
  const { seconds, chunks, lines } = await database.one<{
    seconds: number | null;
    chunks: number;
    lines: number;
  }>(
    `select extract(epoch from max(finalizing_at) - min(in_progress_at))::float8 as seconds,
       sum(chunk_count)::int as chunks, sum(total)::int as lines from batches`,
  );
  if (!seconds) return { batchSeconds: null };
  return {
    batchSeconds: tenth(seconds),
    chunksPerSecond: tenth(chunks / seconds),
    linesPerSecond: Math.round(lines / seconds),
  };
}

const tenth = (value: number): number => Math.round(value * 10) / 10;
