/** Latency of a direct request on the sandbox, which takes no time: what API, queue and worker add. */
import { setTimeout as sleep } from 'node:timers/promises';
import { withDeployment, type Deployment } from './deployment.ts';
import { createRequester, percentile, type Requester } from './timed-requests.ts';
import { rounded, type BenchOptions, type Figures, type Benchmark } from './benchmark.ts';
import { printTable } from './print-table.ts';

const defaultRequests = 1_000;
const warmUp = 300;
/** Concurrent requests that saturate the platform. */
const saturating = 64;
const saturatedS = 10;
const steadyS = 20;

export const direct: Benchmark = {
  name: 'direct',
  title: '/v1/embeddings on the zero-latency sandbox: one connection, a tenth of capacity, saturation',
  run: (options) => withDeployment(options, (deps) => measure(deps, options)),
};

async function measure(deps: Deployment, { lines, print }: BenchOptions): Promise<Figures> {
  const many = createRequester(deps, saturating);
  const one = createRequester(deps, 1);
  try {
    await inTurn(many, warmUp, 8);
    const bare = await inTurn(one, defaultRequests, 1, '/health/live');
    const alone = await inTurn(one, lines ?? defaultRequests, 1);
    const capacity = await saturate(many);
    const steady = await paced(many, capacity.perSecond / 10);
    const row = (name: string, times: readonly number[]) => [
      name,
      times.length,
      ...[0.5, 0.95, 0.99, 1].map((share) => rounded(percentile(times, share), 2)),
    ];
    printTable(
      ['', 'requests', 'p50 ms', 'p95 ms', 'p99 ms', 'longest ms'],
      [
        row('bare HTTP (/health/live)', bare),
        row('one connection', alone),
        row(`a tenth of capacity, ${Math.round(capacity.perSecond / 10)}/s`, steady),
        row(`saturated, ${saturating} at once`, capacity.times),
      ],
      print,
    );
    print(`\ncapacity: ${Math.round(capacity.perSecond)} requests a second`);
    return {
      bare_http_p50_ms: rounded(percentile(bare, 0.5), 2),
      one_connection_p50_ms: rounded(percentile(alone, 0.5), 2),
      one_connection_p99_ms: rounded(percentile(alone, 0.99), 2),
      tenth_of_capacity_p50_ms: rounded(percentile(steady, 0.5), 2),
      tenth_of_capacity_p99_ms: rounded(percentile(steady, 0.99), 2),
      capacity_requests_per_second: rounded(capacity.perSecond),
      saturated_p50_ms: rounded(percentile(capacity.times, 0.5), 2),
      saturated_p99_ms: rounded(percentile(capacity.times, 0.99), 2),
    };
  } finally {
    many.close();
    one.close();
  }
}

const bodyOf = (nth: number) =>
  JSON.stringify({ model: 'sandbox/embeddings', input: `The mill turns ${nth}.` });

/** Sends `count` requests, `atOnce` concurrently, each as soon as another is answered. */
async function inTurn(to: Requester, count: number, atOnce: number, get?: string): Promise<number[]> {
  const times: number[] = [];
  let next = 0;
  const lane = async () => {
    while (next++ < count) times.push(await to.send(get ? '' : bodyOf(next), get));
  };
  await Promise.all(Array.from({ length: atOnce }, lane));
  return times;
}

async function saturate(to: Requester): Promise<{ perSecond: number; times: number[] }> {
  const times: number[] = [];
  const began = performance.now();
  const until = began + saturatedS * 1_000;
  const lane = async (nth: number) => {
    while (performance.now() < until) times.push(await to.send(bodyOf(nth)));
  };
  await Promise.all(Array.from({ length: saturating }, (_, nth) => lane(nth)));
  return { perSecond: times.length / ((performance.now() - began) / 1_000), times };
}

/** Sends at a fixed rate, independent of earlier answers. */
async function paced(to: Requester, perSecond: number): Promise<number[]> {
  const count = Math.round(steadyS * perSecond);
  const began = performance.now();
  const sent: Promise<number>[] = [];
  for (let nth = 0; nth < count; nth++) {
    const due = began + (nth / perSecond) * 1_000;
    const early = due - performance.now();
    if (early > 0) await sleep(early);
    sent.push(to.send(bodyOf(nth)));
  }
  return Promise.all(sent);
}
