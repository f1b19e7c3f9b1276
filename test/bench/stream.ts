/**
 * Latency of a token from the upstream's socket to the client's event, through worker, bus and API. Many chats run at once;
 * each token is timed, and every text is compared with what the upstream sent.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { buildReply, splitWords } from '../support/upstream/model-outputs.ts';
import type { UpstreamCall } from '../support/upstream/call.ts';
import { ScriptedUpstream } from '../support/upstream/server.ts';
import { withDeployment, type Deployment } from './deployment.ts';
import { percentile } from './timed-requests.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const streams = 50;
/** Interval between the tokens of one stream: 25 a second, about the speed of a hosted 70B model. */
const pieceMs = 40;
const warmUpTokens = 50;
const usualTokens = 400;

export const stream: Benchmark = {
  name: 'stream',
  title: `${streams} chats at once, a token every ${pieceMs} ms each, from the upstream to the client's event`,
  async run(options) {
    const upstream = await ScriptedUpstream.start();
    const env = {
      OPENAI_COMPATIBLE: `scripted=${upstream.url}/v1`,
      PROVIDER_CONCURRENCY: String(streams),
      WORKER_DIRECT_SLOTS: String(streams),
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
  { lines, print }: BenchOptions,
): Promise<Figures> {
  upstream.timing = { callMs: 0, itemMs: 0, pieceMs };
  await runChats(deps, upstream, warmUpTokens);
  const alone = await runChats(deps, upstream, warmUpTokens, 1);
  const all = await runChats(deps, upstream, lines ?? usualTokens);
  const row = (name: string, { latencies, first }: Chats) => [
    name,
    latencies.length,
    ...[0.5, 0.95, 0.99, 1].map((share) => rounded(percentile(latencies, share), 2)),
    rounded(percentile(first, 0.5), 1),
  ];
  printTable(
    ['token, upstream to event', 'tokens', 'p50 ms', 'p95 ms', 'p99 ms', 'longest ms', 'first event p50 ms'],
    [row('one stream', alone), row(`${streams} streams at once`, all)],
    print,
  );
  print(
    `\n${rounded(all.latencies.length / all.seconds)} tokens a second; streams with lost or reordered tokens: ${all.wrong}; tokens from the stored answer: ${all.late}`,
  );
  if (all.wrong > 0) throw new Error(`${all.wrong} streams differ from what the upstream sent`);
  return {
    streams,
    tokens: all.latencies.length,
    tokens_per_second: rounded(all.latencies.length / all.seconds),
    one_stream_p50_ms: rounded(percentile(alone.latencies, 0.5), 2),
    p50_ms: rounded(percentile(all.latencies, 0.5), 2),
    p95_ms: rounded(percentile(all.latencies, 0.95), 2),
    p99_ms: rounded(percentile(all.latencies, 0.99), 2),
    first_event_p50_ms: rounded(percentile(all.first, 0.5), 1),
    streams_wrong: all.wrong,
    tokens_late: all.late,
  };
}

interface Chats {
  /** Latency of each token, in ms. */
  readonly latencies: readonly number[];
  /** Time from the request to the first event, in ms. */
  readonly first: readonly number[];
  /** Streams whose text differs from the upstream's. */
  readonly wrong: number;
  /** Tokens that did not arrive as their own event, but together from the stored answer. */
  readonly late: number;
  readonly seconds: number;
}

/** The streams start at different times, so that their tokens do not arrive simultaneously. */
async function runChats(
  deps: Deployment,
  upstream: ScriptedUpstream,
  tokens: number,
  count = streams,
): Promise<Chats> {
  upstream.calls.length = 0;
  const began = performance.now();
  const streamed = await Promise.all(
    Array.from({ length: count }, async (_, nth) => {
      await sleep((nth * pieceMs) / count);
      return readStream(deps, `s${nth} ${Array.from({ length: tokens }, (__, at) => `w${at}`).join(' ')}`);
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  const latencies: number[] = [];
  let [wrong, late] = [0, 0];
  for (const { prompt, events } of streamed) {
    const reply = buildReply(prompt);
    if (events.map(({ text }) => text).join('') !== reply) wrong++;
    const sentAt = sentTimes(upstream.calls, prompt);
    let word = 0;
    for (const { text, at } of events) {
      const words = splitWords(text).length;
      if (words === 1) latencies.push(at - sentAt[word]!);
      else late += words;
      word += words;
    }
  }
  return { latencies, first: streamed.map(({ firstMs }) => firstMs), wrong, late, seconds };
}

/** @returns when the upstream sent each word. Its first piece has the role and no word. */
function sentTimes(calls: readonly UpstreamCall[], prompt: string): readonly number[] {
  const call = calls.find(({ body }) => JSON.stringify(body).includes(`"${prompt}"`));
  return call!.piecesAt!.slice(1);
}

interface StreamedReply {
  readonly prompt: string;
  readonly events: readonly { readonly text: string; readonly at: number }[];
  readonly firstMs: number;
}

async function readStream({ client }: Deployment, prompt: string): Promise<StreamedReply> {
  const began = performance.now();
  const events: { text: string; at: number }[] = [];
  const chunks = await client.chat.completions.create({
    model: 'scripted/chat',
    messages: [{ role: 'user', content: prompt }],
    stream: true,
  });
  for await (const { choices } of chunks) {
    const text = choices[0]?.delta.content;
    if (text) events.push({ text, at: performance.now() });
  }
  return { prompt, events, firstMs: (events[0]?.at ?? NaN) - began };
}
