/**
 * One slot runs a million lines of one model while direct requests for the same model arrive at two a second. Measures how
 * long they wait, in durations of a micro-batch, and how much throughput the batch loses. The throughput of the batch alone
 * is measured before and after.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { waitUntil } from '../support/platform.ts';
import { connectSql, type SqlClient } from '../support/sql.ts';
import { uploadFile } from './batch-run.ts';
import { withDeployment, type Deployment } from './deployment.ts';
import { writeLines } from './batch-lines.ts';
import { localModel, withLocalModel } from './local-model.ts';
import { createRequester, percentile } from './timed-requests.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const defaultLines = 1_000_000;
const warmUpLines = 3_000;
const aloneS = 30;
const besideS = 60;
const everyMs = 500;

export const directBesideBatch: Benchmark = {
  name: 'direct-beside-batch',
  title: 'one slot, a large batch running, direct embeddings of the same model at 2 a second',
  run: (options) =>
    withLocalModel((_, env) =>
      withDeployment({ ...options, env: { ...env, WORKER_SLOTS: '1' } }, async (deps) => {
        const sql = await connectSql(deps.databaseUrl);
        try {
          return await measure(deps, sql, options);
        } finally {
          await sql.end();
        }
      }),
    ),
};

async function measure(deps: Deployment, sql: SqlClient, options: BenchOptions): Promise<Figures> {
  const { print, lines } = options;
  const model = options.model ?? `local/${localModel}`;
  const to = createRequester(deps, 8);
  const bodyOf = (nth: number) => JSON.stringify({ model, input: `The mill turns ${nth}.` });
  try {
    await to.send(bodyOf(0)); // loads the model before the measurement
    const idle = await direct(10, (nth) => to.send(bodyOf(nth)));
    // The planner chooses the chunk size by the measured speed of the model.
    const first = await submit(deps, warmUpLines, model);
    const isOver = async () => (await deps.client.batches.retrieve(first.id)).status === 'completed';
    await waitUntil(isOver, { what: 'the warm-up to end', withinMs: 300_000 });
    const batch = await submit(deps, lines ?? defaultLines, model);
    const chunks = async () => (await commits(sql, batch.id, 0, Infinity)).length;
    await waitUntil(async () => (await chunks()) >= 2, { what: 'the batch to run', withinMs: 300_000 });
    const before = await during(sql, batch.id, () => sleep(aloneS * 1_000));
    let waits: number[] = [];
    const beside = await during(sql, batch.id, async () => {
      waits = await direct((besideS * 1_000) / everyMs, (nth) => to.send(bodyOf(nth)));
    });
    const after = await during(sql, batch.id, () => sleep(aloneS * 1_000));
    const { status } = await deps.client.batches.retrieve(batch.id);
    if (status !== 'in_progress') throw new Error(`the batch is ${status}: use more --lines`);
    const callMs = await microBatchMs(sql, batch.id);
    const alone = (before + after) / 2;
    const [p50, p99] = [percentile(waits, 0.5), percentile(waits, 0.99)];
    const lossPercent = 100 * (1 - beside / alone);
    printTable(
      ['direct embeddings', 'requests', 'p50 ms', 'p99 ms', 'p99 in micro-batches'],
      [
        [
          'on an idle worker',
          idle.length,
          rounded(percentile(idle, 0.5), 1),
          rounded(percentile(idle, 0.99), 1),
          '',
        ],
        ['beside the batch', waits.length, rounded(p50, 1), rounded(p99, 1), rounded(p99 / callMs, 2)],
      ],
      print,
    );
    print(`\none micro-batch takes ${rounded(callMs, 1)} ms`);
    print(
      `the batch: ${rounded(before)} lines/s before, ${rounded(beside)} beside, ${rounded(after)} after: a loss of ${rounded(lossPercent, 1)} %`,
    );
    return {
      micro_batch_ms: rounded(callMs, 1),
      idle_p50_ms: rounded(percentile(idle, 0.5), 1),
      direct_p50_ms: rounded(p50, 1),
      direct_p99_ms: rounded(p99, 1),
      direct_p99_micro_batches: rounded(p99 / callMs, 2),
      batch_lines_per_second_alone: rounded(alone),
      batch_lines_per_second_beside: rounded(beside),
      batch_loss_percent: rounded(lossPercent, 1),
    };
  } finally {
    to.close();
  }
}

async function submit(deps: Deployment, lines: number, model: string) {
  const path = join(deps.folder, `${lines}.jsonl`);
  await writeLines(path, lines, null, model);
  return deps.client.batches.create({
    input_file_id: await uploadFile(deps, path),
    endpoint: '/v1/embeddings',
    completion_window: '24h',
  });
}

/** Sends `count` requests at a fixed rate, independent of earlier answers. */
async function direct(count: number, send: (nth: number) => Promise<number>): Promise<number[]> {
  const began = performance.now();
  const sent: Promise<number>[] = [];
  for (let nth = 0; nth < count; nth++) {
    await sleep(Math.max(0, began + nth * everyMs - performance.now()));
    sent.push(send(nth));
  }
  return Promise.all(sent);
}

/** @returns the batch's lines a second during `work`, from its first commit in that time to its last. */
async function during(sql: SqlClient, batchId: string, work: () => Promise<void>): Promise<number> {
  const from = Date.now();
  await work();
  const made = await commits(sql, batchId, from, Date.now());
  const [first] = made;
  const last = made.at(-1);
  if (!first || !last || made.length < 3)
    throw new Error('fewer than 3 chunks were completed: no rate can be computed');
  const lines = made.slice(1).reduce((sum, chunk) => sum + chunk.lines, 0);
  return lines / ((last.at.getTime() - first.at.getTime()) / 1_000);
}

async function commits(sql: SqlClient, batchId: string, from: number, to: number) {
  const rows = await sql.rows<{ at: Date; lines: number }>(
    `select finished_at as at, lines from attempts where batch_id = $1 and outcome = 'succeeded' order by finished_at`,
    [batchId],
  );
  return rows.filter(({ at }) => at.getTime() >= from && at.getTime() <= to);
}

/** @returns the mean duration of one call of the batch. */
async function microBatchMs(sql: SqlClient, batchId: string): Promise<number> {
  const [row] = await sql.rows<{ ms: number }>(
    `select sum(provider_ms)::float8 / sum((select sum(value::int) from jsonb_each_text(latency_histogram)))::float8 as ms
     from attempts where batch_id = $1 and outcome = 'succeeded'`,
    [batchId],
  );
  return row!.ms;
}
