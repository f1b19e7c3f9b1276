/** One slot is filled by a million lines of one workspace. Measures how long small batches of other workspaces wait. */
import { join } from 'node:path';
import OpenAI from 'openai';
import { waitUntil } from '../support/platform.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import { createWorkspace } from '../support/workspaces.ts';
import { uploadFile } from './batch-run.ts';
import { withDeployment, type Deployment } from './deployment.ts';
import { writeLines } from './batch-lines.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const defaultLines = 1_000_000;
/** Warm-up: the planner gives a model without a measured speed small chunks. */
const warmUpLines = 40_000;
const otherWorkspaces = [...'BCDEFGHIJK'];
const batchesEach = 5;
const linesEach = 200;

export const fairness: Benchmark = {
  name: 'fairness',
  title: 'one slot, a large batch of workspace A running, 50 small batches of B to K arrive at once',
  run: (options) =>
    withDeployment({ ...options, env: { WORKER_SLOTS: '1' } }, async (deps) => {
      const sql = await connectSql(deps.databaseUrl);
      try {
        return await arrive(deps, sql, options);
      } finally {
        await sql.end();
      }
    }),
};

interface Wait extends Record<string, unknown> {
  readonly batch: string;
  /** From create, in seconds. */
  readonly planned: number;
  readonly started: number;
  readonly finished: number;
  /** From the end of its plan to its first chunk. */
  readonly waited: number;
}

async function arrive(deps: Deployment, sql: SqlClient, options: BenchOptions): Promise<Figures> {
  const lines = options.lines ?? defaultLines;
  const large = join(deps.folder, 'large.jsonl');
  const small = join(deps.folder, 'small.jsonl');
  const warmUp = join(deps.folder, 'warm-up.jsonl');
  await Promise.all([
    writeLines(large, lines),
    writeLines(small, linesEach),
    writeLines(warmUp, warmUpLines),
  ]);
  const warmedUp = await create(deps.client, await uploadFile(deps, warmUp));
  await waitUntil(async () => (await deps.client.batches.retrieve(warmedUp)).status === 'completed', {
    what: 'the warm-up',
    withinMs: 120_000,
  });
  const others = [];
  for (const name of otherWorkspaces) others.push(await addWorkspace(name, deps, sql, small));
  const first = await create(deps.client, await uploadFile(deps, large));
  await waitUntil(
    async () => ((await deps.client.batches.retrieve(first)).request_counts?.completed ?? 0) > 0,
    {
      what: 'the large batch to run',
      withinMs: 120_000,
    },
  );
  const names = new Map<string, string>();
  for (let nth = 1; nth <= batchesEach; nth++) {
    await Promise.all(
      others.map(async ({ name, client, fileId }) => {
        names.set(await create(client, fileId), `${name} ${nth}`);
      }),
    );
  }
  const ids = [...names.keys()];
  const isOver = async () => (await ended(sql, ids)) === ids.length;
  await waitUntil(isOver, { what: 'the small batches to end', withinMs: 600_000, everyMs: 200 });
  const { status } = await deps.client.batches.retrieve(first);
  if (status !== 'in_progress') throw new Error(`the large batch is ${status}: use more --lines`);
  const slot = await slotUse(sql, ids);
  return report(
    await waits(sql, ids),
    names,
    { chunk: await chunkSeconds(sql, first), ...slot },
    lines,
    options,
  );
}

async function addWorkspace(name: string, deps: Deployment, sql: SqlClient, path: string) {
  const { apiKey } = await createWorkspace(sql);
  const client = new OpenAI({ apiKey, baseURL: `${deps.url}/v1`, maxRetries: 0 });
  return { name, client, fileId: await uploadFile({ ...deps, client }, path) };
}

async function create(client: OpenAI, fileId: string): Promise<string> {
  const body = { input_file_id: fileId, endpoint: '/v1/embeddings', completion_window: '24h' } as const;
  return (await client.batches.create(body)).id;
}

async function ended(sql: SqlClient, ids: string[]): Promise<number> {
  const [row] = await sql.rows<{ n: number }>(
    `select count(*)::int as n from batches where id = any($1) and status = 'completed'`,
    [ids],
  );
  return row!.n;
}

function waits(sql: SqlClient, ids: string[]): Promise<Wait[]> {
  const since = (from: string, to: string) => `extract(epoch from ${to} - ${from})::float8`;
  return sql.rows<Wait>(
    `select b.id as batch, ${since('b.created_at', 'b.in_progress_at')} as planned,
       ${since('b.created_at', 'a.started_at')} as started, ${since('b.created_at', 'b.completed_at')} as finished,
       ${since('b.in_progress_at', 'a.started_at')} as waited
     from batches b
     cross join lateral (select min(started_at) as started_at from attempts where batch_id = b.id) a
     where b.id = any($1) order by b.created_at`,
    [ids],
  );
}

/** Medians: from the claim of a small batch to its commit, and from the previous commit to its claim; negative if they overlap. */
async function slotUse(sql: SqlClient, ids: string[]): Promise<{ ranMs: number; idleMs: number }> {
  const ms = (from: string, to: string) => `extract(epoch from ${to} - ${from})::float8 * 1000`;
  const [row] = await sql.rows<{ ranMs: number; idleMs: number }>(
    `with runs as (
       select batch_id, ${ms('started_at', 'finished_at')} as ran,
         ${ms('lag(finished_at) over (order by started_at)', 'started_at')} as idle
       from attempts where started_at >= (select min(created_at) from batches where id = any($1)))
     select percentile_cont(0.5) within group (order by ran) as "ranMs",
       percentile_cont(0.5) within group (order by idle) as "idleMs"
     from runs where batch_id = any($1)`,
    [ids],
  );
  return row!;
}

/** @returns the median duration of one chunk of the large batch, in seconds. */
async function chunkSeconds(sql: SqlClient, batchId: string): Promise<number> {
  const [row] = await sql.rows<{ seconds: number }>(
    `select percentile_cont(0.5) within group (order by extract(epoch from finished_at - started_at))::float8 as seconds
     from attempts where batch_id = $1 and outcome = 'succeeded'`,
    [batchId],
  );
  return row!.seconds;
}

function report(
  all: readonly Wait[],
  names: ReadonlyMap<string, string>,
  { chunk, ranMs, idleMs }: { chunk: number; ranMs: number; idleMs: number },
  lines: number,
  { print }: BenchOptions,
): Figures {
  const rows = all.map(({ batch, planned, started, finished, waited }) => [
    names.get(batch)!,
    rounded(planned, 3),
    rounded(started, 3),
    rounded(finished, 3),
    rounded(waited / chunk, 2),
  ]);
  printTable(
    ['batch', 's to plan', 's to start', 's to finish', 'chunk times from plan to start'],
    rows,
    print,
  );
  const sorted = (of: (wait: Wait) => number) => all.map(of).sort((a, b) => a - b);
  const most = (of: (wait: Wait) => number) => rounded(sorted(of).at(-1)!, 3);
  const median = (of: (wait: Wait) => number) => rounded(sorted(of)[all.length >> 1]!, 3);
  print(`\none chunk of the large batch takes ${rounded(chunk, 3)} s`);
  print(
    `a chunk of a small batch takes ${rounded(ranMs, 1)} ms; the next is claimed ${rounded(idleMs, 1)} ms after its commit`,
  );
  return {
    lines,
    batches: all.length,
    chunk_seconds: rounded(chunk, 3),
    small_chunk_ms: rounded(ranMs, 1),
    between_chunks_ms: rounded(idleMs, 1),
    plan_to_start_chunk_times_median: median(({ waited }) => waited / chunk),
    plan_to_start_chunk_times_max: most(({ waited }) => waited / chunk),
    start_seconds_median: median(({ started }) => started),
    start_seconds_max: most(({ started }) => started),
    finish_seconds_median: median(({ finished }) => finished),
    finish_seconds_max: most(({ finished }) => finished),
  };
}
