/**
 * Embedding lines against an upstream with a fixed call time. Compares the platform with perfect packing, in which every
 * call is full and every call slot is always busy, and with one line per call.
 */
import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { join } from 'node:path';
import OpenAI from 'openai';
import { kinds, getPacking } from '#catalogue';
import { ScriptedUpstream } from '../support/upstream/server.ts';
import { runBatch, uploadFile } from './batch-run.ts';
import { withDeployment, type Deployment } from './deployment.ts';
import { buildCustomId, buildLineText } from './batch-lines.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const defaultLines = 20_000;
/** With sixteen concurrent calls, 57,000 lines a second, the speed of one thread would be measured instead. */
const concurrency = 4;
const timing = { callMs: 20, itemMs: 0.2, pieceMs: 0 };
/** The run with one line per call has a tenth of the lines; with all of them it would take minutes. */
const aloneShare = 10;

export const microBatch: Benchmark = {
  name: 'micro-batch',
  title: `embeddings at ${timing.callMs} ms a call and ${timing.itemMs} ms an input, ${concurrency} calls at once`,
  async run(options) {
    const upstream = await ScriptedUpstream.start();
    upstream.timing = timing;
    const env = {
      OPENAI_COMPATIBLE: `scripted=${upstream.url}/v1`,
      PROVIDER_CONCURRENCY: String(concurrency),
      WORKER_SLOTS: '2',
    };
    try {
      return await withDeployment({ ...options, env }, (deps) => measure(deps, upstream, options));
    } finally {
      await upstream.close();
    }
  },
};

async function measure(
  deps: Deployment,
  upstream: ScriptedUpstream,
  { lines: asked, print }: BenchOptions,
): Promise<Figures> {
  const lines = asked ?? defaultLines;
  const full = getPacking(kinds.embeddings).maxItems;
  // Warm-up: the planner measures the model's speed, and the processes compile their code.
  await timed(deps, upstream, lines, full, false);
  const packed = await timed(deps, upstream, lines, full, false);
  const alone = await timed(deps, upstream, Math.ceil(lines / aloneShare), 1, true);
  const bare = await bareLoop(upstream, lines, full);
  const row = (name: string, one: Timed) => [
    name,
    one.lines,
    one.calls,
    rounded(one.lines / one.calls, 1),
    rounded(one.seconds, 2),
    rounded(one.lines / one.seconds),
    rounded(one.perfectSeconds, 2),
    rounded(one.ofPerfect, 3),
  ];
  const heads = ['', 'lines', 'calls', 'lines/call', 's', 'lines/s', 'perfect s', 'share of perfect'];
  const rows = [row('packed', packed), row('full calls of a bare client', bare), row('a call a line', alone)];
  printTable(heads, rows, print);
  return {
    lines,
    calls: packed.calls,
    lines_per_call: rounded(packed.lines / packed.calls, 1),
    lines_per_second: rounded(packed.lines / packed.seconds),
    of_perfect: rounded(packed.ofPerfect, 3),
    bare_of_perfect: rounded(bare.ofPerfect, 3),
    packing: rounded(packed.packing, 3),
    one_line_a_call_lines_per_second: rounded(alone.lines / alone.seconds),
    speedup: rounded(packed.lines / packed.seconds / (alone.lines / alone.seconds), 1),
  };
}

interface Timed {
  readonly lines: number;
  readonly calls: number;
  /** From the start of the first call to the end of the last. */
  readonly seconds: number;
  readonly perfectSeconds: number;
  readonly ofPerfect: number;
  /** Busy time of the upstream with full calls, divided by its busy time with the calls that were made. */
  readonly packing: number;
}

async function timed(
  deps: Deployment,
  upstream: ScriptedUpstream,
  lines: number,
  full: number,
  isAlone: boolean,
): Promise<Timed> {
  const path = join(deps.folder, `micro-${lines}.jsonl`);
  await write(path, lines, isAlone);
  const fileId = await uploadFile(deps, path);
  return timedCalls(upstream, lines, full, () => runBatch(deps, fileId, lines));
}

/** The same lines in full calls by the OpenAI client with the same concurrency: the limit set by HTTP and the upstream's timers. */
async function bareLoop(upstream: ScriptedUpstream, lines: number, full: number): Promise<Timed> {
  const client = new OpenAI({ apiKey: 'none', baseURL: `${upstream.url}/v1`, maxRetries: 0 });
  let next = 1;
  const lane = async () => {
    while (next <= lines) {
      const input = Array.from({ length: Math.min(full, lines - next + 1) }, (_, nth) =>
        buildLineText(next + nth),
      );
      next += input.length;
      await client.embeddings.create({ model: 'embedder', input, dimensions: 8, encoding_format: 'base64' });
    }
  };
  return timedCalls(upstream, lines, full, () => Promise.all(Array.from({ length: concurrency }, lane)));
}

async function timedCalls(
  upstream: ScriptedUpstream,
  lines: number,
  full: number,
  run: () => Promise<unknown>,
): Promise<Timed> {
  upstream.calls.length = 0;
  await run();
  const calls = upstream.findCalls('/embeddings');
  const last = calls.at(-1)!;
  const lastItems = (last.body as { input: string[] }).input.length;
  const seconds = (last.at - calls[0]!.at + timing.callMs + timing.itemMs * lastItems) / 1_000;
  const cost = (count: number) => timing.callMs * count + timing.itemMs * lines;
  const perfectSeconds = cost(Math.ceil(lines / full)) / concurrency / 1_000;
  return {
    ...{ lines, calls: calls.length, seconds, perfectSeconds },
    ofPerfect: perfectSeconds / seconds,
    packing: cost(Math.ceil(lines / full)) / cost(calls.length),
  };
}

/** Lines with different metadata do not share a call. */
async function write(path: string, lines: number, isAlone: boolean): Promise<void> {
  const file = createWriteStream(path);
  for (let line = 1; line <= lines; line++) {
    const metadata = isAlone ? { metadata: { line: String(line) } } : {};
    const body = { model: 'scripted/embedder', input: buildLineText(line), dimensions: 8, ...metadata };
    const record = { custom_id: buildCustomId(line), method: 'POST', url: '/v1/embeddings', body };
    if (!file.write(`${JSON.stringify(record)}\n`)) await once(file, 'drain');
  }
  file.end();
  await once(file, 'close');
}
