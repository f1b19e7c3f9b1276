/**
 * Tokens on their way from the upstream's socket to the client's event, through worker, bus and API: many chats at
 * once, each word's way timed, and every text compared with what the upstream said.
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
/** Between the tokens of one stream: 25 a second, about what a hosted model of 70B says. */
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
  await chats(deps, upstream, warmUpTokens);
  const alone = await chats(deps, upstream, warmUpTokens, 1);
  const all = await chats(deps, upstream, lines ?? usualTokens);
  const row = (name: string, { told, first }: Chats) => [
    name,
    told.length,
    ...[0.5, 0.95, 0.99, 1].map((share) => rounded(percentile(told, share), 2)),
    rounded(percentile(first, 0.5), 1),
  ];
  printTable(
    ['token, upstream to event', 'tokens', 'p50 ms', 'p95 ms', 'p99 ms', 'longest ms', 'first event p50 ms'],
    [row('one stream', alone), row(`${streams} streams at once`, all)],
    print,
  );
  print(
    `\n${rounded(all.told.length / all.seconds)} tokens a second; lost or out of order: ${all.wrong}; told late: ${all.late}`,
  );
  if (all.wrong > 0) throw new Error(`${all.wrong} streams did not say what the upstream said`);
  return {
    streams,
    tokens: all.told.length,
    tokens_per_second: rounded(all.told.length / all.seconds),
    one_stream_p50_ms: rounded(percentile(alone.told, 0.5), 2),
    p50_ms: rounded(percentile(all.told, 0.5), 2),
    p95_ms: rounded(percentile(all.told, 0.95), 2),
    p99_ms: rounded(percentile(all.told, 0.99), 2),
    first_event_p50_ms: rounded(percentile(all.first, 0.5), 1),
    streams_wrong: all.wrong,
    tokens_told_late: all.late,
  };
}

interface Chats {
  /** ms of each token's way. */
  readonly told: readonly number[];
  /** ms from the request to the first event. */
  readonly first: readonly number[];
  /** Streams whose text is not the upstream's. */
  readonly wrong: number;
  /** Tokens that did not come as the event that they were, but with others from the stored answer. */
  readonly late: number;
  readonly seconds: number;
}

/** Streams that begin one after the other, so that their tokens do not come in step. */
async function chats(
  deps: Deployment,
  upstream: ScriptedUpstream,
  tokens: number,
  count = streams,
): Promise<Chats> {
  upstream.calls.length = 0;
  const began = performance.now();
  const heard = await Promise.all(
    Array.from({ length: count }, async (_, nth) => {
      await sleep((nth * pieceMs) / count);
      return hear(deps, `s${nth} ${Array.from({ length: tokens }, (__, at) => `w${at}`).join(' ')}`);
    }),
  );
  const seconds = (performance.now() - began) / 1_000;
  const told: number[] = [];
  let [wrong, late] = [0, 0];
  for (const { prompt, events } of heard) {
    const said = buildReply(prompt);
    if (events.map(({ text }) => text).join('') !== said) wrong++;
    const sentAt = sentTimes(upstream.calls, prompt);
    let word = 0;
    for (const { text, at } of events) {
      const words = splitWords(text).length;
      if (words === 1) told.push(at - sentAt[word]!);
      else late += words;
      word += words;
    }
  }
  return { told, first: heard.map(({ firstMs }) => firstMs), wrong, late, seconds };
}

/** @returns when the upstream wrote each word: its first piece names the role and has none. */
function sentTimes(calls: readonly UpstreamCall[], prompt: string): readonly number[] {
  const call = calls.find(({ body }) => JSON.stringify(body).includes(`"${prompt}"`));
  return call!.piecesAt!.slice(1);
}

interface Heard {
  readonly prompt: string;
  readonly events: readonly { readonly text: string; readonly at: number }[];
  readonly firstMs: number;
}

async function hear({ client }: Deployment, prompt: string): Promise<Heard> {
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
